//! Turns `etcd/**/*.proto` and `latchd/**/*.proto` into Rust: protox parses, tonic and prost write types, clients and
//! servers, pbjson writes the JSON mapping.

use std::{env, error::Error, fs, path::PathBuf};

const PROTOS: [&str; 6] = [
    "etcd/mvccpb/kv.proto",
    "etcd/authpb/auth.proto",
    "etcd/etcdserverpb/rpc.proto",
    "etcd/v3lockpb/v3lock.proto",
    "etcd/v3electionpb/v3election.proto",
    "latchd/v1/locks.proto",
];

const PACKAGES: [&str; 6] = [
    ".mvccpb",
    ".authpb",
    ".etcdserverpb",
    ".v3lockpb",
    ".v3electionpb",
    ".latchd.v1",
];

fn main() -> Result<(), Box<dyn Error>> {
    for proto in PROTOS {
        println!("cargo:rerun-if-changed={proto}");
    }
    println!("cargo:rerun-if-changed=build.rs");

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).open_files(PROTOS)?;

    // Reflection serves this one, and has no use for comments and positions.
    let descriptors = compiler
        .include_source_info(false)
        .encode_file_descriptor_set();
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out_dir.join("descriptor.bin"), &descriptors)?;

    pbjson_build::Builder::new()
        .register_descriptors(&descriptors)?
        .preserve_proto_field_names()
        .ignore_unknown_fields()
        .build(&PACKAGES)?;

    // This one has the comments, which become documentation.
    let documented = compiler.include_source_info(true).file_descriptor_set();
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::codec::LeanCodec")
        .build_transport(cfg!(feature = "transport"))
        .emit_rerun_if_changed(false)
        .compile_fds(documented)?;
    Ok(())
}
