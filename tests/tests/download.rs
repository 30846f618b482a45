//! Programs that the machine gets over its own network, from servers on this computer, which is the gateway of QEMU's user networking.

use libtest_mimic::{Failed, Trial};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use sha2::{Digest, Sha256};
use sisal_tests::qemu::Qemu;
use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener},
    process::ExitCode,
    sync::Arc,
    thread,
};
use tempfile::TempDir;

fn main() -> ExitCode {
    sisal_tests::run(trials)
}

/// This computer, as the machine sees it.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// Writes its arguments, each with a NUL behind it, and ends with 7. Large, so that it does not come at once.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 20)
    (data (i32.const 1024) "DATA")
    (func (export "_start")
        (drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $args (i32.const 16) (i32.const 512)))
        (i32.store (i32.const 0) (i32.const 512))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $exit (i32.const 7))))"#;

/// What the trials share. The servers are there for as long as this process.
struct Setting {
    qemu: Qemu,
    /// Ports of the servers for `http` and `https`.
    http: u16,
    https: u16,
    hash: String,
    /// The certificate of the server's authority.
    ca: OsString,
    _directory: TempDir,
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn trials() -> Result<Vec<Trial>, String> {
    let program = wat::parse_str(PROGRAM.replace("DATA", &"x".repeat(1 << 20))).map_err(text)?;
    let (authority, config) = identity().map_err(text)?;
    let directory = tempfile::tempdir().map_err(text)?;
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, authority).map_err(text)?;
    let hash = Sha256::digest(&program).iter().map(|byte| format!("{byte:02x}")).collect();

    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(text);
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port()).map_err(text);
    let (plain, secure) = (listen()?, listen()?);
    let (http, https) = (port(&plain)?, port(&secure)?);
    let program: Arc<[u8]> = program.into();
    serve(plain, program.clone(), None, https);
    serve(secure, program, Some(Arc::new(config)), https);

    let setting =
        Arc::new(Setting { qemu: Qemu::new(), http, https, hash, ca: ca.into(), _directory: directory });
    let mut trials = vec![];
    let mut trial = |name: &str, test: fn(&Setting) -> Result<(), String>| {
        let setting = setting.clone();
        trials.push(Trial::test(name, move || Ok::<_, Failed>(test(&setting)?)));
    };
    trial("a_program_comes_over_http", a_program_comes_over_http);
    trial("a_program_comes_over_https", a_program_comes_over_https);
    trial("a_program_that_has_moved_is_found", a_program_that_has_moved_is_found);
    trial("who_is_not_believed_is_not_asked", who_is_not_believed_is_not_asked);
    trial("another_program_is_refused", another_program_is_refused);
    trial("what_is_not_there_is_said", what_is_not_there_is_said);
    Ok(trials)
}

/// The certificate of an authority (PEM), and a server with a certificate from it.
fn identity() -> Result<(String, ServerConfig), Box<dyn std::error::Error>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress(GATEWAY.into())];
    let key = KeyPair::generate()?;
    let chain = vec![params.signed_by(&key, &authority)?.der().clone()];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok((authority.pem(), config))
}

/// Answers whoever asks.
fn serve(listener: TcpListener, program: Arc<[u8]>, tls: Option<Arc<ServerConfig>>, https: u16) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (program, tls) = (program.clone(), tls.clone());
            // Who does not like an answer goes.
            thread::spawn(move || match (stream?, tls) {
                (stream, None) => answer(stream, &program, https),
                (stream, Some(tls)) => {
                    let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
                    answer(StreamOwned::new(connection, stream), &program, https)
                }
            });
        }
    });
}

fn answer(stream: impl Read + Write, program: &[u8], https: u16) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if stream.read_line(&mut request)? == 0 {
            return Ok(());
        }
    }
    let stream = stream.get_mut();
    let mut head = |status, fields: &str, length| {
        write!(stream, "HTTP/1.1 {status} x\r\n{fields}Content-Length: {length}\r\n\r\n")
    };
    match request.split(' ').nth(1) {
        Some("/dir/program.wasm") => {
            head(200, "", program.len())?;
            stream.write_all(program)
        }
        Some("/dir/moved") => head(301, "Location: ../dir/program.wasm\r\n", 0),
        Some("/secure") => head(302, &format!("Location: https://{GATEWAY}:{https}/dir/program.wasm\r\n"), 0),
        Some("/large") => head(200, "", 1_usize << 40),
        Some("/text") => {
            head(200, "", 6)?;
            stream.write_all(b"<html>")
        }
        _ => head(404, "", 0),
    }?;
    stream.flush()
}

impl Setting {
    /// Runs what is at `url` with two arguments: its exit code, what it wrote, and what `sisal` said.
    fn run(&self, options: &[&str], url: &str) -> Result<(Option<i32>, String, String), String> {
        let mut line: Vec<OsString> = vec!["--ca".into(), self.ca.clone()];
        line.extend(options.iter().chain(&[url, "one", "two words"]).map(Into::into));
        let finished = self.qemu.run_command(&line, vec![])?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((finished.status.code(), text(finished.stdout), text(finished.stderr)))
    }

    fn runs(&self, options: &[&str], url: &str, name: &str) -> Result<(), String> {
        let found = self.run(options, url)?;
        let expected = (Some(7), format!("{name}\0one\0two words\0"), String::new());
        if found == expected { Ok(()) } else { Err(format!("{url}: {found:?}")) }
    }

    fn refuses(&self, options: &[&str], url: &str, code: i32, why: &str) -> Result<(), String> {
        let found = self.run(options, url)?;
        let right =
            found.0 == Some(code) && found.1.is_empty() && found.2.contains(url) && found.2.contains(why);
        if right { Ok(()) } else { Err(format!("{url} should be refused because {why}: {found:?}")) }
    }
}

fn a_program_comes_over_http(setting: &Setting) -> Result<(), String> {
    let url = format!("http://{GATEWAY}:{}/dir/program.wasm", setting.http);
    setting.runs(&[], &url, "program.wasm")?;
    setting.runs(&["--machine", "q35", "--argv0", "another", "--net"], &url, "another")
}

fn a_program_comes_over_https(setting: &Setting) -> Result<(), String> {
    let url = format!("https://{GATEWAY}:{}/dir/program.wasm", setting.https);
    setting.runs(&["--sha256", &setting.hash], &url, "program.wasm")
}

fn a_program_that_has_moved_is_found(setting: &Setting) -> Result<(), String> {
    setting.runs(&[], &format!("https://{GATEWAY}:{}/dir/moved", setting.https), "moved")?;
    setting.runs(&[], &format!("http://{GATEWAY}:{}/secure", setting.http), "secure")
}

fn who_is_not_believed_is_not_asked(setting: &Setting) -> Result<(), String> {
    // By its address alone, and nobody knows the authority but who was told.
    let url = format!("https://{GATEWAY}:{}/dir/program.wasm", setting.https);
    let finished = setting.qemu.run_command(&[url.clone().into()], vec![])?;
    let stderr = String::from_utf8_lossy(&finished.stderr);
    if finished.status.code() != Some(127) || !stderr.contains("certificate") || !stderr.contains(&url) {
        return Err(format!("{}: {stderr}", finished.status));
    }
    // That is the machine itself.
    let url = format!("https://localhost:{}/p.wasm", setting.https);
    setting.refuses(&[], &url, 127, "refused")
}

fn another_program_is_refused(setting: &Setting) -> Result<(), String> {
    let url = format!("http://{GATEWAY}:{}/dir/program.wasm", setting.http);
    let expected = format!("its SHA-256 is {}, and should be {}", setting.hash, "a".repeat(64));
    setting.refuses(&["--sha256", &"A".repeat(64)], &url, 127, &expected)?;
    let url = format!("http://{GATEWAY}:{}/text", setting.http);
    let found = setting.run(&[], &url)?;
    if found.0 == Some(126) { Ok(()) } else { Err(format!("{found:?}")) }
}

fn what_is_not_there_is_said(setting: &Setting) -> Result<(), String> {
    let there = format!("http://{GATEWAY}:{}", setting.http);
    setting.refuses(&[], &format!("{there}/none.wasm"), 127, "404")?;
    setting.refuses(&[], &format!("{there}/large"), 127, "it has more than 256 MiB")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(text)?;
    let port = listener.local_addr().map_err(text)?.port();
    drop(listener);
    setting.refuses(&[], &format!("http://{GATEWAY}:{port}/p.wasm"), 127, "the connection was refused")
}
