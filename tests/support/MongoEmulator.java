// A server that speaks MongoDB's protocol and keeps its data in memory, for tests: on the port that is given, 0 for any
// free one. Prints the port; ends with its standard input.
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

public class MongoEmulator {
  public static void main(String[] arguments) throws Exception {
    MongoServer server = new MongoServer(new MemoryBackend());
    server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
    System.out.println(server.getLocalAddress().getPort());
    System.out.flush();
    while (System.in.read() >= 0) {
    }
    server.shutdownNow();
    System.exit(0);
  }
}
