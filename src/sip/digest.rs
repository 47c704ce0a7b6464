//! Whether a digest fits a secret (RFC 7616 §3.4, RFC 8760 §2).
//!
//! Is given secrets, and requests with credentials; gives whether the client's answer is the one that the secret makes.
//! The secrets stay here: they have no form for output, and their `Debug` shows how many there are.

use std::fmt;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512_256};

use crate::sip::auth::every;
use crate::sip::message::Message;
use crate::sip::value::Parameters;

/// Users with their secrets.
#[derive(Clone, Default)]
pub struct Secrets {
    rows: Vec<Row>,
}

#[derive(Clone)]
struct Row {
    user: String,
    /// `*` stands for any.
    realm: String,
    password: String,
}

/// Whether credentials fit the secret of their user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DigestFit {
    /// The response is the one that the secret makes.
    Fits,
    /// It is another one.
    Differs,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} rows)", self.rows.len())
    }
}

impl Secrets {
    /// Reads lines of user, realm and password, with commas or white space between them; `*` for any realm, `#` before
    /// a comment.
    ///
    /// # Errors
    /// The number of the first line that has other than three parts. The line itself is not told.
    pub fn read(text: &str) -> Result<Secrets, usize> {
        let mut rows = Vec::new();
        for (number, line) in (1usize..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let row = if line.contains(',') { of_commas(line) } else { of_spaces(line) };
            rows.push(row.ok_or(number)?);
        }
        Ok(Secrets { rows })
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether the credentials of a request fit. `None` if no secret of their user and realm is known, if they are no
    /// digest of a known algorithm, or if the body that they are made of was cut.
    pub fn check(&self, request: &Message<'_>) -> Option<DigestFit> {
        let method = request.method()?.name();
        let check = |_, one: &str| self.check_one(one, method, request);
        let mut fits = every(request, ["Authorization", "Proxy-Authorization"], check).into_iter().flatten();
        let first = fits.next()?;
        // Of several challengers one may be satisfied: what does not fit tells more.
        Some(fits.fold(first, Ord::max))
    }

    fn check_one(&self, line: &str, method: &str, request: &Message<'_>) -> Option<DigestFit> {
        let (scheme, rest) = line.trim().split_once(|c: char| c.is_ascii_whitespace())?;
        let shown = Parameters::read(rest, b',');
        let of = |name: &str| shown.get(name).unwrap_or_default();
        let fits = |row: &&Row| row.user == of("username") && (row.realm == of("realm") || row.realm == "*");
        let row = self.rows.iter().find(fits).filter(|_| scheme.eq_ignore_ascii_case("Digest"))?;
        let algorithm = shown.get("algorithm").filter(|name| !name.is_empty()).unwrap_or("MD5").to_ascii_uppercase();
        let (name, is_of_session) = match algorithm.strip_suffix("-SESS") {
            Some(name) => (name, true),
            None => (algorithm.as_str(), false),
        };
        let hash: fn(&[u8]) -> String = match name {
            "MD5" => hash::<Md5>,
            "SHA-256" => hash::<Sha256>,
            "SHA-512-256" => hash::<Sha512_256>,
            _ => return None,
        };
        let mut secret = hash(format!("{}:{}:{}", of("username"), of("realm"), row.password).as_bytes());
        if is_of_session {
            secret = hash(format!("{secret}:{}:{}", of("nonce"), of("cnonce")).as_bytes());
        }
        let asked = match of("qop").to_ascii_lowercase().as_str() {
            "auth-int" if request.is_cut() => return None,
            "auth-int" => format!("{method}:{}:{}", of("uri"), hash(request.body())),
            _ => format!("{method}:{}", of("uri")),
        };
        let asked = hash(asked.as_bytes());
        let wanted = match of("qop") {
            "" => hash(format!("{secret}:{}:{asked}", of("nonce")).as_bytes()),
            qop => hash(format!("{secret}:{}:{}:{}:{qop}:{asked}", of("nonce"), of("nc"), of("cnonce")).as_bytes()),
        };
        let is_same = wanted.eq_ignore_ascii_case(of("response"));
        Some(if is_same { DigestFit::Fits } else { DigestFit::Differs })
    }
}

fn of_commas(line: &str) -> Option<Row> {
    let mut parts = line.splitn(3, ',').map(|part| part.trim().to_owned());
    Some(Row { user: parts.next()?, realm: parts.next()?, password: parts.next()? })
}

fn of_spaces(line: &str) -> Option<Row> {
    let (user, rest) = line.split_once(char::is_whitespace)?;
    let (realm, password) = rest.trim_start().split_once(char::is_whitespace)?;
    Some(Row { user: user.to_owned(), realm: realm.to_owned(), password: password.trim_start().to_owned() })
}

fn hash<D: Digest>(bytes: &[u8]) -> String {
    D::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Cut;

    fn check(secrets: &str, credentials: &str) -> Option<DigestFit> {
        let text = format!("GET sip:x SIP/2.0\r\nAuthorization: Digest {credentials}\r\nContent-Length: 0\r\n\r\n");
        let message = Message::read(text.as_bytes(), Cut::Whole).unwrap();
        Secrets::read(secrets).unwrap().check(&message)
    }

    /// RFC 7616 §3.9.1.
    const MUFASA: &str = "username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
                          nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
                          cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth";

    #[test]
    fn the_examples_of_rfc_7616_fit() {
        let secrets = "# of the RFC\nMufasa, http-auth@example.org, Circle of Life\n";
        let md5 = format!("{MUFASA}, algorithm=MD5, response=\"8ca523f5e9506fed4657c9700eebdbec\"");
        let sha = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        let sha256 = format!("{MUFASA}, algorithm=SHA-256, response=\"{sha}\"");
        assert_eq!(check(secrets, &md5), Some(DigestFit::Fits));
        assert_eq!(check(secrets, &sha256), Some(DigestFit::Fits));
        assert_eq!(check(secrets, &format!("Bearer token=\"a\", {md5}")), Some(DigestFit::Fits), "joined by a comma");
        assert_eq!(check("Mufasa * wrong", &md5), Some(DigestFit::Differs));
        assert_eq!(check("Simba * wrong", &md5), None);
    }

    #[test]
    fn sessions_and_bodies_are_part_of_the_digest() {
        let secrets = "Mufasa * Circle of Life";
        let of = |algorithm: &str| {
            let base = MUFASA.replace("qop=auth", "qop=auth-int");
            check(secrets, &format!("{base}, algorithm={algorithm}, response=\"0\""))
        };
        assert_eq!(["MD5-sess", "SHA-512-256", "SHA-512-256-sess"].map(of), [Some(DigestFit::Differs); 3]);
        assert_eq!(of("CRC32"), None);
    }

    #[test]
    fn secrets_do_not_show_and_bad_lines_are_named() {
        assert_eq!(format!("{:?}", Secrets::read("a b c\nd,e,f").unwrap()), "Secrets(2 rows)");
        assert_eq!(Secrets::read("a b c\nonly two").unwrap_err(), 2);
    }
}
