//! Makes cargo look again when an upgrade file is added.

fn main() {
    println!("cargo::rerun-if-changed=upgrades");
}
