//! QEMU's command line: the one place that knows which machine, devices and options the kernel runs on.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use log::LevelFilter;
use manifest::{LOG_ARGUMENT, TIMINGS_ARGUMENT, debug_exit, port};

use crate::accel::Accel;
use crate::network::UserNetwork;
use crate::options::MachineKind;

/// A machine and what is plugged into it.
pub struct Machine<'a> {
    /// The type of machine.
    pub kind: MachineKind,
    /// What realises its processor.
    pub accel: Accel,
    /// Bytes of memory.
    pub ram: u64,
    /// The kernel's file.
    pub kernel: &'a Path,
    /// The initrd's file.
    pub initrd: &'a Path,
    /// Where the kernel's log goes.
    pub log: Channel,
    /// How much it logs.
    pub log_level: LevelFilter,
    /// Whether it logs what took how long.
    pub timings: bool,
    /// Where the four ports lead.
    pub ports: Ports<Channel>,
    /// The directories of the host.
    pub shares: &'a [Share],
    /// The network.
    pub network: Option<&'a UserNetwork>,
}

/// One of something for each of the ports.
pub struct Ports<T> {
    /// Of [`port::STDIN`].
    pub stdin: T,
    /// Of [`port::STDOUT`].
    pub stdout: T,
    /// Of [`port::STDERR`].
    pub stderr: T,
    /// Of [`port::STATUS`].
    pub status: T,
}

/// The other end of a serial line or a port.
pub enum Channel {
    /// A connected stream socket that QEMU inherits.
    Socket(RawFd),
    /// QEMU's standard input, which is no terminal: QEMU would make it raw, with no echo, end of line or end of file.
    Stdin,
    /// The terminal that QEMU is started from, left as it is.
    Terminal,
    /// A file that is appended to, as the standard output is.
    Append(PathBuf),
    /// A file that is written anew.
    File(PathBuf),
}

/// A directory of the host that the machine has as a virtio-9p device.
pub struct Share {
    /// The device's mount tag.
    pub tag: String,
    /// The directory.
    pub host: PathBuf,
    /// Whether QEMU refuses to change it.
    pub read_only: bool,
}

/// How many directories of the host fit into a machine, each being a device of its own.
pub fn most_shares(kind: MachineKind, network: Option<&UserNetwork>) -> usize {
    let slots = match kind {
        MachineKind::Microvm => 24,
        // One for the host bridge and one for the ISA bridge.
        MachineKind::Q35 | MachineKind::Pc => 32 - 2,
    };
    // The virtio devices for the ports, for random bytes, and for the network.
    slots - 2 - usize::from(network.is_some())
}

impl Machine<'_> {
    /// QEMU's arguments.
    pub fn arguments(self) -> Vec<OsString> {
        let mut line = CommandLine(Vec::new());
        // Nothing but what is named here, and no window.
        line.words(["-nodefaults", "-no-user-config", "-display", "none"]);
        // A fault that the kernel cannot catch ends the machine.
        line.words(["-no-reboot"]);
        let (machine, transport) = match self.kind {
            // What the timers and the clock are read from, also where KVM would do without.
            MachineKind::Microvm => ("microvm,rtc=on,pit=on,pic=on", "device"),
            MachineKind::Q35 => ("q35", "pci"),
            MachineKind::Pc => ("pc", "pci"),
        };
        line.option("-machine", machine);
        line.option("-accel", self.accel.name());
        line.words(["-cpu", "max"]);
        line.option("-m", format!("{}B", self.ram));
        line.path("-kernel", "", self.kernel);
        line.path("-initrd", "", self.initrd);
        let timings = if self.timings { [" ", TIMINGS_ARGUMENT].concat() } else { String::new() };
        line.option("-append", format!("{LOG_ARGUMENT}{}{timings}", self.log_level).to_lowercase());
        line.option(
            "-device",
            format!("isa-debug-exit,iobase={:#x},iosize={}", debug_exit::PORT, debug_exit::SIZE),
        );
        line.option("-device", format!("virtio-rng-{transport}"));

        if let Some(network) = self.network {
            line.option("-netdev", network.netdev("net"));
            line.option("-device", format!("virtio-net-{transport},netdev=net"));
        }

        line.channel("log", self.log);
        line.words(["-serial", "chardev:log"]);
        // Port 0 is a console's, which nobody has: the four below are 1 to 4. QEMU and the kernel make queues for all there can be.
        line.option("-device", format!("virtio-serial-{transport},max_ports=5"));
        let Ports { stdin, stdout, stderr, status } = self.ports;
        for (id, name, channel) in [
            ("stdin", port::STDIN, stdin),
            ("stdout", port::STDOUT, stdout),
            ("stderr", port::STDERR, stderr),
            ("status", port::STATUS, status),
        ] {
            line.channel(id, channel);
            line.option("-device", format!("virtserialport,chardev={id},name={name}"));
        }

        for share in self.shares {
            let Share { tag, host, read_only } = share;
            // `none`: files belong to whoever runs QEMU, with the modes that the guest asks for.
            // `remap`: files of other file systems mounted below keep inode numbers of their own.
            let read_only = if *read_only { "on" } else { "off" };
            let options =
                format!("local,id={tag},security_model=none,multidevs=remap,readonly={read_only},path=");
            line.path("-fsdev", &options, host);
            line.option("-device", format!("virtio-9p-{transport},fsdev={tag},mount_tag={tag}"));
        }
        line.0
    }
}

struct CommandLine(Vec<OsString>);

impl CommandLine {
    fn words<const N: usize>(&mut self, words: [&str; N]) {
        self.0.extend(words.map(Into::into));
    }

    fn option(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.extend([name.into(), value.into()]);
    }

    /// An option whose value ends with a path. Within a list of options (`options` is not empty) a comma is
    /// written twice.
    fn path(&mut self, name: &str, options: &str, path: &Path) {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        let mut value = options.as_bytes().to_vec();
        for byte in path.as_os_str().as_bytes() {
            value.push(*byte);
            if *byte == b',' && !options.is_empty() {
                value.push(*byte);
            }
        }
        self.option(name, OsString::from_vec(value));
    }

    fn channel(&mut self, id: &str, channel: Channel) {
        match channel {
            Channel::Socket(fd) => self.option("-chardev", format!("socket,id={id},fd={fd}")),
            Channel::Stdin => self.option("-chardev", format!("stdio,id={id},signal=on")),
            Channel::Terminal => self.option("-chardev", format!("pipe,id={id},path=/dev/tty")),
            Channel::Append(path) => self.path("-chardev", &format!("file,id={id},append=on,path="), &path),
            Channel::File(path) => self.path("-chardev", &format!("file,id={id},path="), &path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(kind: MachineKind, shares: &[Share], network: Option<&UserNetwork>) -> String {
        let socket = Channel::Socket;
        let machine = Machine {
            kind,
            accel: Accel::Tcg,
            ram: 16 << 20,
            kernel: Path::new("/k,1"),
            initrd: Path::new("/i"),
            log: socket(10),
            log_level: LevelFilter::Warn,
            timings: false,
            ports: Ports { stdin: socket(11), stdout: socket(12), stderr: socket(13), status: socket(14) },
            shares,
            network,
        };
        machine.arguments().join(" ".as_ref()).into_string().unwrap()
    }

    #[test]
    fn the_ports_have_their_names_and_channels() {
        let line = arguments(MachineKind::Microvm, &[], None);
        assert!(line.contains("-chardev socket,id=stdout,fd=12 "), "{line}");
        assert!(line.contains("-device virtserialport,chardev=stdout,name=org.sisal.stdout "), "{line}");
        assert!(line.contains("-device virtserialport,chardev=status,name=org.sisal.status"), "{line}");
        assert!(line.contains("-m 16777216B -kernel /k,1 -initrd /i -append log=warn "), "{line}");
        assert!(line.contains("isa-debug-exit,iobase=0x501,iosize=2"), "{line}");
        assert!(!line.contains("net"), "{line}");
    }

    #[test]
    fn a_network_is_a_device_of_the_machines_bus() {
        let network = UserNetwork { outgoing: true, ..UserNetwork::default() };
        for (kind, device) in
            [(MachineKind::Pc, "virtio-net-pci"), (MachineKind::Microvm, "virtio-net-device")]
        {
            let line = arguments(kind, &[], Some(&network));
            let expected = format!("-netdev user,id=net,restrict=off -device {device},netdev=net ");
            assert!(line.contains(&expected), "{line}");
        }
    }

    #[test]
    fn a_share_is_a_9p_device_of_the_machines_bus() {
        let share = |read_only| Share { tag: "dir0".into(), host: "/a,b=c".into(), read_only };
        let line = arguments(MachineKind::Q35, &[share(true)], None);
        assert!(
            line.contains("readonly=on,path=/a,,b=c -device virtio-9p-pci,fsdev=dir0,mount_tag=dir0"),
            "{line}"
        );
        let line = arguments(MachineKind::Microvm, &[share(false)], None);
        assert!(line.contains("readonly=off,path=/a,,b=c -device virtio-9p-device,fsdev=dir0,"), "{line}");
    }
}
