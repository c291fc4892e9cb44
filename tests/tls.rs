//! `fetch` over TLS: whose certificates are taken, and what is told of others. The certificates are made as the test runs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::json;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::apps::App;
use crate::weir::{Dev, Process, weir};

/// Who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    fn named(name: &str) -> Self {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// A certificate for a name or an address, and its key.
    fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (CertificateDer<'static>, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key)
    }
}

/// Starts a server that shows this certificate and answers every request with where it leads to, if it is one to
/// `/to/URL`, and with its first line otherwise.
fn serve((certificate, key): (CertificateDer<'static>, KeyPair)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certificate], key).unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let config = config.clone();
            // Clients that do not like the certificate go away.
            thread::spawn(move || answer(stream, config).unwrap_or_default());
        }
    });
    address
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut part = [0; 4096];
        match stream.read(&mut part)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&part[..read]),
        }
    }
    let request = String::from_utf8_lossy(&request);
    let line = request.lines().next().unwrap_or_default();
    let path = line.split(' ').nth(1).unwrap_or_default();
    match path.strip_prefix("/to/") {
        Some(url) => write!(stream, "HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n")?,
        None => write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{line}", line.len())?,
    }
    stream.conn.send_close_notify();
    stream.flush()
}

fn start(app: &App, isolation: &str, authorities: &Path) -> Dev {
    let mut command = weir(&["dev", "--listen", "127.0.0.1:0", "--isolation", isolation]);
    command.arg("--data").arg(app.data()).arg(app.path()).stdin(Stdio::null());
    command.env("SSL_CERT_FILE", authorities).env_remove("SSL_CERT_DIR");
    Dev::of(Process::start(command))
}

/// What the app gets from a URL.
fn get(dev: &Dev, url: &str) -> String {
    let query = "mutation($args: JSON) { invoke(function: \"get\", args: $args) }";
    let answer = dev.client().answer(query, json!({ "args": { "url": url } }));
    let told = answer["data"]["invoke"].as_str().or(answer["errors"][0]["message"].as_str());
    told.unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[test]
fn certificates_are_those_of_trusted_authorities_for_the_name_that_is_asked_for() {
    let (ours, strangers) = (Authority::named("ours"), Authority::named("strangers"));
    let good = serve(ours.sign("127.0.0.1", |_| {}));
    let named = serve(ours.sign("localhost", |_| {}));
    let strange = serve(strangers.sign("127.0.0.1", |_| {}));
    let old = serve(ours.sign("127.0.0.1", |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    }));
    let plain = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut hosts: Vec<String> = [good, named, strange, old, plain].iter().map(ToString::to_string).collect();
    hosts.push(format!("localhost:{}", named.port()));
    let app = App::of(&format!(
        "// file: app.toml\nname = \"tls\"\nversion = \"1.0.0\"\n[fetch]\nhosts = {}\n[limits]\nwall_ms = 20000\n\
         // file: functions/t.ts\nimport {{ action }} from \"weir\";\n\
         export const get = action(async (args: {{ url: string }}): Promise<string> => (await fetch(args.url)).text());\n",
        json!(hosts)
    ));
    let authorities = app.beside("authorities.pem");
    std::fs::write(&authorities, &ours.certificate).unwrap();
    for isolation in ["thread", "process"] {
        let dev = start(&app, isolation, &authorities);
        let get = |url: String| get(&dev, &url);
        assert_eq!(get(format!("https://{good}/a?b=c")), "GET /a?b=c HTTP/1.1");
        assert_eq!(get(format!("https://{good}/to//again")), "GET /again HTTP/1.1");
        assert_eq!(get(format!("https://localhost:{}/", named.port())), "GET / HTTP/1.1");
        // What is redirected to is looked at as closely.
        for url in [format!("https://{named}/"), format!("https://{good}/to/https://{named}/")] {
            let expected = format!(
                "fetch: the certificate of {named} is for another name, so it may be another server that answers there"
            );
            assert_eq!(get(url), expected, "{isolation}");
        }
        assert_eq!(
            get(format!("https://{strange}/")),
            format!(
                "fetch: the certificate of {strange} is from an authority that this machine does not trust: if it is your \
                 own, start the server with the authority's certificate in the file that SSL_CERT_FILE names"
            )
        );
        let message = get(format!("https://{old}/"));
        assert!(message.starts_with(&format!("fetch: the certificate of {old} does not hold: ")), "{message}");
        assert!(message.contains("expired"), "{message}");
        let message = get(format!("https://{good}/to/http://{plain}/"));
        assert!(message.ends_with("the redirect leads from https to http, where others can read along"), "{message}");
        let message = get(format!("http://{good}/"));
        assert!(message.starts_with(&format!("fetch: the response of {good} cannot be read: ")), "{message}");
        assert_eq!(dev.stop(), Some(0));
    }
    // Without an authority nobody is trusted.
    let dev = start(&app, "thread", &app.beside("missing.pem"));
    let message = get(&dev, &format!("https://{good}/"));
    assert!(message.starts_with("fetch: this machine has no certificates of authorities"), "{message}");
    assert_eq!(dev.stop(), Some(0));
}
