//! Has the server built again when a file of the console comes or goes: the compiler notices only
//! that one changes.

fn main() {
    println!("cargo::rerun-if-changed=console");
}
