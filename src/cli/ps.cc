// samplemind ps
#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include "base/files.h"
#include "base/json.h"
#include "base/process.h"
#include "cli/commands.h"
#include "cli/service_control.h"
#include "server/service.h"

namespace samplemind::cli {

namespace {

struct Service {
  std::string name;
  std::string address;  // host:port
  std::optional<pid_t> pid;
  uint16_t port = 0;
  std::optional<double> uptime_s;
  std::optional<uint64_t> memory_bytes;
  std::string health;  // healthy, starting, unhealthy, down
  std::string detail;
};

void fill_process(Service& s, pid_t pid) {
  s.pid = pid;
  s.memory_bytes = process_rss_bytes(pid);
  if (const auto ticks = process_start_ticks(pid)) s.uptime_s = ProcessId{pid, *ticks}.uptime_s();
}

// A server that others run: known by its address only, and by what /proc shows of it.
Service remote_service(std::string name, const HostPort& where) {
  Service s;
  s.name = std::move(name);
  s.port = where.port;
  s.address = where.host + ":" + std::to_string(where.port);
  s.health = answers(where.host, where.port, std::chrono::milliseconds(500)) ? "healthy" : "down";
  if (s.health == "healthy" &&
      (where.host == "localhost" || where.host.starts_with("127.") || where.host == "::1")) {
    if (const auto who = find_listener(where.port)) fill_process(s, who->pid);
  }
  return s;
}

// Of "mongodb://user:password@one:27017,two/database".
std::string first_host(const std::string& address) {
  std::string hosts = address.substr(address.find("://") + 3);
  hosts = hosts.substr(0, hosts.find_first_of("/?"));
  hosts.erase(0, hosts.rfind('@') + 1);
  return hosts.substr(0, hosts.find(','));
}

Result<std::vector<Service>> services(const Context& context) {
  SM_TRY(const Config config, context.load_config());
  const fs::path home = context.home();
  std::vector<Service> list;
  Service own;
  own.name = "samplemind";
  bool stale = false;
  if (const auto run = server::read_run_file(home, &stale)) {
    fill_process(own, run->pid);
    own.port = run->port;
    own.address = run->host + ":" + std::to_string(run->port);
    const auto health = probe(run->address() + "/readyz", std::chrono::milliseconds(2000),
                              config.string("server.tls_certificate"));
    own.health = !health ? "unhealthy" : health->status == 200 ? "healthy" : "starting";
    if (!health) own.detail = "does not answer within 2 s: samplemind logs";
  } else {
    own.health = "down";
    own.detail = stale ? "ended without a goodbye; samplemind up starts it again"
                       : "samplemind up starts it";
  }
  list.push_back(std::move(own));

  const OllamaState state = ollama_state(config, home);
  // Of interest when it is there or could be.
  if (state.answers || state.ours || state.program) {
    Service s = remote_service("ollama", state.where);
    if (s.health == "healthy") {
      const auto health =
          probe("http://" + s.address + "/api/version", std::chrono::milliseconds(2000));
      if (!health || health->status != 200) {
        s.health = "unhealthy";
        s.detail = "answers, but not as Ollama does";
      }
    }
    if (state.ours) {
      fill_process(s, state.ours->pid);
      if (s.health == "down") s.health = "starting";
      s.detail = "started by SampleMind";
    } else if (s.health == "down") {
      s.detail = "installed; samplemind up starts it";
    }
    list.push_back(std::move(s));
  }
  // Where configured.
  for (const Config::Entry& e : config.entries()) {
    if (e.value.empty()) continue;
    if (e.name.ends_with("redis.url") || e.name.ends_with("redis_url"))
      list.push_back(remote_service("redis", parse_host_port(e.value, 6379)));
    // Under mongodb+srv:// the hosts stand in the DNS: nothing to look at here.
    if (e.name == "library.store" && e.value.starts_with("mongodb://"))
      list.push_back(remote_service("mongodb", parse_host_port(first_host(e.value), 27017)));
  }
  return list;
}

struct PsFlags {
  bool json = false;
  bool check = false;
};

Result<int> run_ps(const Context& context, const PsFlags& flags) {
  SM_TRY(const std::vector<Service> list, services(context));
  if (flags.check) {
    const Service& own = list.front();
    print(own.name + " is " + own.health + "\n");
    return own.health == "healthy" ? 0 : 1;
  }
  if (flags.json) {
    std::string out;
    JsonWriter w(out);
    w.begin_array();
    for (const Service& s : list) {
      w.begin_object().field("service", s.name).field("pid", s.pid).key("port");
      if (s.port != 0) {
        w.value(s.port);
      } else {
        w.null();
      }
      w.field("address", s.address)
          .field("uptime_s", s.uptime_s)
          .field("memory_bytes", s.memory_bytes)
          .field("health", s.health)
          .field("detail", s.detail)
          .end_object();
    }
    w.end_array();
    print(out + "\n");
    return 0;
  }
  Table table({{.header = "service"},
               {.header = "pid", .right = true},
               {.header = "address", .shrink_to = 12},
               {.header = "uptime", .right = true},
               {.header = "memory", .right = true, .optional = true},
               {.header = "health"},
               {.header = "", .shrink_to = 10, .optional = true}});
  for (const Service& s : list) {
    table.add({s.name, s.pid ? std::to_string(*s.pid) : "", s.address,
               s.uptime_s ? human_duration(*s.uptime_s) : "",
               s.memory_bytes ? human_bytes(static_cast<double>(*s.memory_bytes)) : "", s.health,
               s.detail});
    table.style(5, s.health == "healthy"     ? Style::kGreen
                   : s.health == "down"      ? Style::kDim
                   : s.health == "unhealthy" ? Style::kRed
                                             : Style::kYellow);
    table.style(6, Style::kDim);
  }
  print(table.render(context.out, context.out.width()));
  return 0;
}

}  // namespace

Run add_ps(Arguments command, Context& context) {
  auto flags = std::make_shared<PsFlags>();
  command.add_flag("--json", flags->json, "One JSON array, for scripts");
  command.add_flag("--check", flags->check,
                   "Only whether the service is healthy: exit code 0 or 1, for health checks");
  return [flags, &context] { return run_ps(context, *flags); };
}

}  // namespace samplemind::cli
