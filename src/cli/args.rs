//! The arguments of the program.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::service::ServiceArgs;
use crate::report::Provenance;

/// What help begins with.
pub(crate) const EXAMPLES: &str = "Examples:
  sipwhy call.pcap                             why the calls of a capture failed
  sipwhy captures/ --number 49170555123        of a folder, one number's calls
  sipwhy call.pcap -o report.html -o case.pcapng
                                               a page to send on, and the capture with comments
  sipwhy call.pcap --call 3 --ticket           the text for a carrier's ticket desk
  sipwhy call.pcap --redact -o vendor.html     with pseudonyms for numbers, addresses and names
  sipwhy trunk.pcap -Y 'sip.Status-Code == 503 && ip.addr == 198.51.100.10'
  ssh pbx tcpdump -U -s0 -w - port 5060 | sipwhy -
  sudo sipwhy -i any                           follow the interfaces
  sipwhy stats captures/                       figures, by RFC 6076
  sipwhy decide one-way-audio                  from a symptom to its cause
  sipwhy 503                                   what a code means
  sipwhy 202 503                               how two codes differ";

/// Reads SIP out of packet captures and says why calls failed.
#[derive(Debug, Parser)]
#[command(
    name = "sipwhy",
    version,
    args_conflicts_with_subcommands = true,
    before_help = EXAMPLES,
    after_help = "Exit status: 0 analysed, 1 only with --fail-on, 2 usage, 3 input unusable, 4 output failed, 5 internal \
                  error"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) look: Look,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// How output looks, whatever the command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Look {
    /// Colours on a terminal, always or never
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(crate) color: When,
    /// Draw with ASCII alone
    #[arg(long, global = true)]
    pub(crate) ascii: bool,
    /// Columns of text (80 when piped, else those of the terminal)
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u16).range(40..=1000))]
    pub(crate) width: Option<u16>,
    /// Language of catalogue texts and headings (default from the locale, else English)
    #[arg(long, value_name = "L", global = true)]
    pub(crate) lang: Option<String>,
    /// A carrier's own meanings of codes, in TOML as in data/status-codes/; they add to ours or replace them
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) catalogue: Option<std::path::PathBuf>,
    /// What was typed.
    #[arg(skip)]
    pub(crate) provenance: Provenance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Analyse captures and explain (the same as without a command)
    Report(Box<Options>),
    /// Figures of captures: the metrics of RFC 6076, delays, calls by peer, code and cause (text, json, svg)
    Stats(Box<Options>),
    /// Follow an interface, a line for each call that ends
    Live(Box<Live>),
    /// From a symptom to its cause: `decide one-way-audio` asks, `decide call.pcap` answers from the packets (text,
    /// json, md, html)
    Decide(Box<Options>),
    /// The page of a code, a rule or a cause: 503, trunk-congested, q850-34, warning-304
    Explain {
        /// Code, rule, q850-N, warning-N, reason-PROTOCOL, tls-N, freeswitch-N, a vendor's code (teams-560403) or a
        /// term (early-media)
        subject: String,
        /// Format of the page
        #[arg(long, value_name = "F", default_value = "text")]
        format: PageFormat,
    },
    /// Compare two status codes
    Compare {
        /// Two status codes
        #[arg(num_args = 2, required = true, value_name = "CODE")]
        codes: Vec<String>,
        /// Format of the page
        #[arg(long, value_name = "F", default_value = "text")]
        format: PageFormat,
    },
    /// List the status codes
    Codes {
        /// Only those of a class: 4xx
        #[arg(long, value_name = "CLASS")]
        class: Option<String>,
        /// Format of the list
        #[arg(long, value_name = "F", default_value = "text")]
        format: PageFormat,
        /// Write the whole catalogue as pages into a folder: codes in every language, comparisons, rules, causes
        #[arg(long, value_name = "DIR", conflicts_with_all = ["class", "format"])]
        site: Option<PathBuf>,
    },
    /// List the interfaces
    Devices,
    /// Print the JSON Schema of the JSON report
    Schema,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PageFormat {
    Text,
    Json,
    Md,
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    #[value(alias = "markdown")]
    Md,
    Html,
    Json,
    Ndjson,
    Csv,
    Svg,
    #[value(alias = "mmd")]
    Mermaid,
    Junit,
    /// To a file alone: a capture is nothing to print.
    #[value(skip)]
    Pcapng,
}

/// How a ladder tells times, with tshark's letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LadderTimes {
    R,
    A,
    D,
    E,
}

/// What `--redact` replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Redacted {
    Numbers,
    Ips,
    Names,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Error,
    Warning,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Captures, folders of captures, - for standard input; or, without a command, one or two status codes
    #[arg(value_name = "FILE|DIR|-")]
    pub(crate) files: Vec<PathBuf>,
    /// The same as naming FILE
    #[arg(short = 'r', value_name = "FILE", conflicts_with = "follow")]
    pub(crate) read: Vec<PathBuf>,
    /// Capture on an interface, as `live` does; several times for several. What follows is a BPF filter
    #[arg(short = 'i', value_name = "IF", conflicts_with = "read")]
    pub(crate) interface: Vec<String>,
    /// List the interfaces
    #[arg(short = 'D')]
    pub(crate) devices: bool,
    #[command(flatten)]
    pub(crate) watching: Watching,
    #[command(flatten)]
    pub(crate) run: Run,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Live {
    /// The interface; `any` for all of them; several times for several
    #[arg(short = 'i', value_name = "IF", required_unless_present_any = ["follow", "hep_listen"])]
    pub(crate) interface: Vec<String>,
    /// A BPF capture filter
    #[arg(value_name = "BPF", conflicts_with = "filter")]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) watching: Watching,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// What is set of a run without end.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Watching {
    /// Follow a capture that is being written: a file and those that its writer puts behind it (tcpdump -C -G -W,
    /// dumpcap -b), a template of names (call-%H%M.pcap), a folder, or what is piped in (-)
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "interface")]
    pub(crate) follow: Option<PathBuf>,
    /// Live: how often a line sums up, 60s by default; 0 for never
    #[arg(long, value_name = "TIME", hide = true)]
    pub(crate) stats_every: Option<String>,
    /// Live: end the reports of -o after a time (1h) or size (100MB) and begin new ones; names hold when they began
    #[arg(long, value_name = "TIME|SIZE", hide = true)]
    pub(crate) rotate: Option<String>,
    /// Live: keep the last N rotated reports of each name
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) keep: Option<u64>,
    /// Live: set what is seldom set, NAME=VALUE, such as promiscuous=no or buffer=64M
    #[arg(long, value_name = "NAME=VALUE", long_help = crate::cli::live::help())]
    pub(crate) live: Vec<String>,
}

impl Watching {
    /// The first option that was given.
    pub(crate) fn set(&self) -> Option<&'static str> {
        let Watching { follow, stats_every, rotate, keep, live } = self;
        let set = [
            ("--follow", follow.is_some()),
            ("--stats-every", stats_every.is_some()),
            ("--rotate", rotate.is_some()),
            ("--keep", keep.is_some()),
            ("--live", !live.is_empty()),
        ];
        set.into_iter().find(|(_, is_set)| *is_set).map(|(option, _)| option)
    }
}

/// What is common to files and interfaces.
#[derive(Debug, Clone, Args)]
pub(crate) struct Run {
    /// A BPF capture filter, for files too
    #[arg(short = 'f', value_name = "BPF")]
    pub(crate) filter: Option<String>,
    /// Stop after N packets
    #[arg(short = 'c', value_name = "N", value_parser = packets)]
    pub(crate) count: Option<u64>,
    /// Only this call, by its number in the report or its Call-ID
    #[arg(long = "call", value_name = "N|CALL-ID")]
    pub(crate) calls: Vec<String>,
    /// Only calls from or to a number that holds these digits, or a user whose name holds these letters: alice
    #[arg(long, value_name = "DIGITS")]
    pub(crate) number: Vec<String>,
    /// Only calls with this address
    #[arg(long, value_name = "ADDR")]
    pub(crate) peer: Vec<std::net::IpAddr>,
    /// Only calls that began then or later: 08:14 (of any day), 2026-11-20, 2026-11-20T08:14
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only calls that began before then
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Check refused digests against the secrets in a file: a line for each user, realm and password
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets: Option<PathBuf>,
    /// Only calls of which a message fits, with Wireshark's names: 'sip.Status-Code == 503 && ip.addr == 198.51.100.10'
    #[arg(short = 'Y', value_name = "EXPR")]
    pub(crate) display_filter: Option<String>,
    /// Of the calls that are chosen, only those that failed
    #[arg(long, conflicts_with = "all")]
    pub(crate) failed: bool,
    /// Every call, whole: those that went well too
    #[arg(long)]
    pub(crate) all: bool,
    /// Format on standard output
    #[arg(long, value_name = "F", default_value = "text")]
    pub(crate) format: Format,
    /// Also write the report to a file, in the format of its ending: .txt .md .html .json .ndjson .csv .svg .mmd
    /// .junit.xml .pcapng (the capture with our findings as comments; of chosen calls only their packets)
    #[arg(short = 'o', value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,
    /// With chosen calls and -o FILE.pcapng: their media packets too
    #[arg(long)]
    pub(crate) with_media: bool,
    /// In place of the text report, the text for a carrier's ticket desk
    #[arg(long)]
    pub(crate) ticket: bool,
    /// Pseudonyms for numbers, addresses and names, the same for the same value
    #[arg(long, value_name = "WHAT", value_delimiter = ',', num_args = 0..=1, require_equals = true,
          default_missing_value = "numbers,ips,names")]
    pub(crate) redact: Vec<Redacted>,
    /// Show passwords, digests and keys, which are hidden else
    #[arg(long, conflicts_with = "redact")]
    pub(crate) show_secrets: bool,
    /// Exit with status 1 if there is such a finding
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<FailOn>,
    /// Exit with status 3 if anything was wrong with the input
    #[arg(long)]
    pub(crate) strict: bool,
    /// Time zone of reports for people: UTC (the default), local, or a name such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
    /// Times in ladders: r since the call began, a of day, d since the message before, e since 1970
    #[arg(short = 't', value_name = "TIMES", default_value = "r")]
    pub(crate) times: LadderTimes,
    /// Names for addresses, in TOML: [peers] "198.51.100.10" = "Carrier A"
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,
    /// Secrets of TLS, as SSLKEYLOGFILE has them; those that stand in a pcapng file are used by themselves
    #[arg(long, value_name = "FILE")]
    pub(crate) keylog: Vec<PathBuf>,
    /// Set a limit: NAME=VALUE, such as calls=50000 or call-bytes=64M
    #[arg(long, value_name = "NAME=VALUE", long_help = crate::cli::limits::help())]
    pub(crate) limits: Vec<String>,
    /// Nothing on standard error but errors
    #[arg(short = 'q', long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more on standard error: files that were skipped, how long it took
    #[arg(short = 'v', long)]
    pub(crate) verbose: bool,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// A number of packets after which a run stops.
fn packets(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|packets| *packets > 0).ok_or_else(|| "write a number of packets, 1 or more".to_owned())
}
