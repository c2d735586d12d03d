//! A network of a test's own: two network namespaces of Linux with a cable between them, one for the test and one for cameras. Multicast works
//! in it, and nothing in it reaches the machine's own network.

use crate::component::skip_without;
use std::process::{Command, Stdio};

/// Names the network to the test inside it.
const VARIABLE: &str = "PIGWEIGHT_TEST_NETWORK";
/// The test's own address.
pub const OWN_ADDRESS: &str = "10.77.0.1";

/// The network that a test is in.
#[derive(Debug)]
pub struct Network {
    name: String,
}

/// Runs a test in a network of its own; reported as skipped where namespaces aren't permitted. `test` is the full name of the calling test,
/// which is started anew inside and does its `work` there.
///
/// # Panics
/// If the work does.
pub fn inside(test: &str, work: impl FnOnce(&Network)) {
    if let Ok(name) = std::env::var(VARIABLE) {
        return work(&Network { name });
    }
    let Some(made) = Made::new() else {
        return skip_without("network namespaces (root, and iproute2)");
    };
    let program = std::env::current_exe().expect("the test's own program");
    let status = Network { name: made.name.clone() }
        .command(&made.own(), &program.to_string_lossy())
        .args([test, "--exact", "--nocapture"])
        .env(VARIABLE, &made.name)
        .status()
        .expect("iproute2");
    assert!(status.success(), "{test} failed in its network: see above");
}

impl Network {
    /// A camera's address: the `number`-th of ten.
    pub fn camera(number: u8) -> String {
        assert!(number < 10, "there are ten addresses");
        format!("10.77.0.{}", 11 + number)
    }

    /// A command among the cameras.
    pub fn command_beyond(&self, program: &str) -> Command {
        self.command(&format!("{}-b", self.name), program)
    }

    fn command(&self, namespace: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, program]);
        command
    }
}

/// Namespaces that are removed when dropped.
struct Made {
    name: String,
}

impl Made {
    fn new() -> Option<Self> {
        let made = Self { name: format!("pw{}", std::process::id()) };
        let (own, cameras) = (made.own(), format!("{}-b", made.name));
        let mut commands = vec![
            format!("netns add {own}"),
            format!("netns add {cameras}"),
            format!("link add pw0 netns {own} type veth peer name pw1 netns {cameras}"),
            format!("-n {own} addr add {OWN_ADDRESS}/24 dev pw0"),
        ];
        for number in 0..10 {
            commands.push(format!("-n {cameras} addr add {}/24 dev pw1", Network::camera(number)));
        }
        for (namespace, device) in [(&own, "pw0"), (&own, "lo"), (&cameras, "pw1"), (&cameras, "lo")] {
            commands.push(format!("-n {namespace} link set {device} up"));
        }
        commands.iter().all(|command| ip(command)).then_some(made)
    }

    fn own(&self) -> String {
        format!("{}-a", self.name)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for end in ["a", "b"] {
            ip(&format!("netns del {}-{end}", self.name));
        }
    }
}

/// Whether it succeeded.
fn ip(arguments: &str) -> bool {
    let mut command = Command::new("ip");
    command.args(arguments.split(' ')).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
