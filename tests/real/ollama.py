"""A real Ollama with a real small model, on a free loopback port."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import harness
import parts

MODEL = "smollm2"
# A small context: enough to show that the wire works, quick on one thread: two wait for each other on a busy machine. The limit is high: an answer cut by it is never cached.
MODELFILE = """FROM {gguf}
TEMPLATE \"\"\"{{{{ if .Tools }}}}<|im_start|>system
You may call these functions: {{{{ .Tools }}}}<|im_end|>
{{{{ end }}}}{{{{ range .Messages }}}}<|im_start|>{{{{ .Role }}}}
{{{{ .Content }}}}<|im_end|>
{{{{ end }}}}<|im_start|>assistant
\"\"\"
PARAMETER stop <|im_end|>
PARAMETER num_ctx 2048
PARAMETER num_predict 1000
PARAMETER num_thread 1
"""


class OllamaServer:
    def __init__(self):
        self.binary = parts.ollama_binary()
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="samplemind-ollama-"))
        self.host = f"127.0.0.1:{harness.free_port()}"
        self.env = dict(os.environ, OLLAMA_HOST=self.host, OLLAMA_MODELS=str(self.root / "models"), HOME=str(self.root))
        self.log = open(self.root / "log", "wb")
        self.process = subprocess.Popen([str(self.binary), "serve"], env=self.env, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            harness.wait_until(self._answers, 60, "ollama answers")
            modelfile = self.root / "Modelfile"
            modelfile.write_text(MODELFILE.format(gguf=parts.smollm2_gguf()))
            subprocess.run([str(self.binary), "create", MODEL, "-f", str(modelfile)], env=self.env, check=True, capture_output=True, timeout=120)
        except BaseException:
            self.stop()
            raise

    def _answers(self):
        try:
            return harness.request(f"http://{self.host}/api/version", timeout=2).status == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.log.close()
        shutil.rmtree(self.root, ignore_errors=True)
