//! The edge of the server through the binary: HTTPS with files, pages by another name, numbers of requests in the log, and what cannot be served with.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use expect_test::expect;
use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::apps::App;
use crate::weir::{Dev, PATIENCE, run};

const APP: &str = "import { query } from \"weir\";\nexport const hello = query((): string => \"hello\");\n";

/// A certificate for this machine: the files of it and its key, and the certificate.
pub fn certificate(app: &App, name: &str) -> (PathBuf, PathBuf, CertificateDer<'static>) {
    let (params, key) = (CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap(), KeyPair::generate().unwrap());
    let certificate = params.self_signed(&key).unwrap();
    let files = [app.beside(&format!("{name}.pem")), app.beside(&format!("{name}.key"))];
    fs::write(&files[0], certificate.pem()).unwrap();
    fs::write(&files[1], key.serialize_pem()).unwrap();
    let [certificate_file, key_file] = files;
    (certificate_file, key_file, certificate.der().clone())
}

/// Sends a request over TLS, with a connection that is closed after it; the whole response.
pub fn exchange(address: &str, trusted: CertificateDer<'static>, request: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = ClientConnection::new(Arc::new(config.with_no_client_auth()), name).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn an_app_is_served_over_https() {
    let app = App::of(APP);
    let (certificate, key, trusted) = certificate(&app, "server");
    let arguments = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let dev = Dev::starting_with(&app, &arguments).ready();
    let address = dev.url.strip_prefix("https://").unwrap_or_else(|| panic!("{}", dev.url)).to_owned();
    let body = r#"{"query":"{ hello }"}"#;
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let response = exchange(&address, trusted, &request);
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.ends_with(r#"{"data":{"hello":"hello"}}"#), "{response}");
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn a_page_whose_name_points_to_this_machine_is_not_of_it() {
    let app = App::of(APP);
    let dev = Dev::starting_with(&app, &["--allow-origin", "https://tunnel.example.com"]).ready();
    let body = r#"{"query":"{ hello }"}"#;
    let status = |host: &str| {
        let mut stream = TcpStream::connect(dev.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response[9..12].parse::<u16>().unwrap()
    };
    let table = [("127.0.0.1", 200), ("localhost:4000", 200), ("tunnel.example.com", 200), ("evil.example:4000", 403)];
    for (host, expected) in table {
        assert_eq!(status(host), expected, "{host}");
    }
}

#[test]
fn a_log_line_ends_with_the_number_of_its_request() {
    let app = App::of(
        "import { action, http } from \"weir\";\n\
         export const fails = http.get(\"/fails\", action(async (request: HttpRequest): Promise<HttpResponse> => {\n\
           throw new Error(\"no such luck\");\n\
         }));\n",
    );
    let dev = Dev::start(&app);
    let request = minreq::get(format!("{}/fails", dev.url)).with_header("x-request-id", "hook-7");
    let response = request.with_timeout(PATIENCE.as_secs()).send().unwrap();
    assert_eq!(response.status_code, 500);
    assert!(response.headers.contains(&("x-request-id".to_owned(), "hook-7".to_owned())), "{:?}", response.headers);
    let (_, line) = dev.log.wait_for(0, |line| line.contains("no such luck"));
    assert!(line.ends_with(" request=hook-7"), "{line}");
}

#[test]
fn what_cannot_be_served_with_is_told_at_once() {
    let app = App::of(APP);
    let (certificate_file, key, _) = certificate(&app, "server");
    let (_, other_key, _) = certificate(&app, "other");
    let start = |arguments: &[&str]| {
        let ended = run(&[&["dev", "--listen", "127.0.0.1:0", app.path().to_str().unwrap()], arguments].concat());
        assert_eq!(ended.stdout, "");
        let told = ended.stderr.lines().next().unwrap_or_default().to_owned();
        let folder = certificate_file.parent().unwrap().to_str().unwrap();
        format!("{}: {}\n", ended.code.unwrap(), told.replace(folder, "DIR"))
    };
    let (certificate, key, other_key) =
        (certificate_file.to_str().unwrap(), key.to_str().unwrap(), other_key.to_str().unwrap());
    let missing = app.beside("missing.pem");
    let told = [
        start(&["--tls-cert", missing.to_str().unwrap(), "--tls-key", key]),
        start(&["--tls-cert", key, "--tls-key", key]),
        start(&["--tls-cert", certificate, "--tls-key", other_key]),
        start(&["--tls-cert", certificate]),
        start(&["--allow-origin", "app.example.com"]),
    ];
    expect![[r#"
        1: weir: cannot read DIR/missing.pem: No such file or directory (os error 2)
        1: weir: DIR/server.key holds no certificate: it must be PEM text with BEGIN CERTIFICATE
        1: weir: the key in DIR/other.key is not that of the certificate in DIR/server.pem: name the one that it was made with
        2: error: the following required arguments were not provided:
        2: error: invalid value 'app.example.com' for '--allow-origin <ORIGIN>': an origin is a scheme and a host, and a port if it has one, such as https://app.example.com or http://10.0.0.7:8080
    "#]].assert_eq(&told.concat());
}
