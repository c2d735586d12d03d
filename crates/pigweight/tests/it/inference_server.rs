//! Real inference servers for tests: MLServer and NVIDIA Triton with models from the fixtures, in their own processes.
//!
//! `scripts/setup.sh --tests` installs both. If one is missing, its tests say so and are skipped; in CI they fail.

use crate::server::root;
use pigweight_testkit::component::skip_without;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Killed when dropped.
pub struct InferenceServer {
    process: Option<Child>,
    folder: tempfile::TempDir,
    python: PathBuf,
    ports: [u16; 3],
}

/// Python with what a server needs; `None` (and said so) where it is not installed.
fn python(environment: &str) -> Option<PathBuf> {
    let python = root().join(format!(".tools/{environment}/bin/python"));
    if python.exists() {
        return Some(python);
    }
    skip_without(&format!(
        "{environment} is not installed here (scripts/setup.sh --tests, where there are packages of it)"
    ));
    None
}

/// Three that nobody has now.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

impl InferenceServer {
    /// MLServer with models: name, version and file.
    pub fn mlserver(models: &[(&str, &str, &Path)]) -> Option<Self> {
        let python = python("python-servers")?;
        let mut server =
            Self { process: None, folder: tempfile::tempdir().unwrap(), python, ports: free_ports() };
        server.serve(models);
        Some(server)
    }

    /// Serves these from now on, on the same port as before.
    pub fn serve(&mut self, models: &[(&str, &str, &Path)]) {
        self.kill();
        let [http_port, grpc_port, _] = self.ports;
        let settings = serde_json::json!({
            "host": "127.0.0.1", "http_port": http_port, "grpc_port": grpc_port, "metrics_endpoint": null, "parallel_workers": 0,
            "debug": false, "grpc_max_message_length": 64 << 20,
        });
        let folder = self.folder.path();
        std::fs::write(folder.join("settings.json"), settings.to_string()).unwrap();
        for (name, version, file) in models {
            let settings = serde_json::json!({
                "name": name, "implementation": "mlserver_onnx.Onnx", "parameters": {"uri": file, "version": version},
            });
            std::fs::create_dir_all(folder.join(name)).unwrap();
            std::fs::write(folder.join(name).join("model-settings.json"), settings.to_string()).unwrap();
        }
        let mut command = Command::new(&self.python);
        command.args(["-m", "mlserver.cli.main", "start"]).arg(folder);
        command.env("PYTHONPATH", root().canonicalize().unwrap().join("fixtures/servers"));
        let loaded = models.iter().map(|(name, ..)| format!("Loaded model '{name}' successfully"));
        self.run(command, loaded.chain(["gRPC server running".to_owned()]).collect());
    }

    /// Triton with one model.
    pub fn triton(name: &str, file: &Path) -> Option<Self> {
        let python = python("python-triton")?;
        let mut server =
            Self { process: None, folder: tempfile::tempdir().unwrap(), python, ports: free_ports() };
        let [http, grpc, metrics] = server.ports.map(|port| port.to_string());
        let mut command = Command::new(&server.python);
        command.arg(root().canonicalize().unwrap().join("fixtures/servers/triton_onnx.py")).arg(file);
        command.args([name, &http, &grpc, &metrics]);
        server.run(
            command,
            vec!["Started GRPCInferenceService".to_owned(), format!("successfully loaded '{name}'")],
        );
        Some(server)
    }

    /// Starts it and waits until its log has said all of `awaited`.
    fn run(&mut self, mut command: Command, mut awaited: Vec<String>) {
        let (log, end) = std::io::pipe().unwrap();
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        let process = command.stdout(end.try_clone().unwrap()).stderr(end).spawn().unwrap();
        // The command holds the pipe's other end.
        drop(command);
        self.process = Some(process);
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let mut said = String::new();
        while !awaited.is_empty() {
            let Some(line) = lines.next() else { panic!("the inference server ended:\n{said}") };
            awaited.retain(|words| !line.contains(words.as_str()));
            said += &line;
            said.push('\n');
        }
        // Nobody reads on, but the pipe must not fill.
        std::thread::spawn(move || lines.for_each(drop));
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }

    /// Like `kill -9`; if the server has several processes, the others end by themselves.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// As Ctrl-C does it, for a server that has processes of its own to end.
    pub fn stop(mut self) {
        if let Some(mut process) = self.process.take() {
            let message = Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap();
            assert!(message.success());
            process.wait().unwrap();
        }
    }
}

impl Drop for InferenceServer {
    fn drop(&mut self) {
        self.kill();
    }
}
