namespace Kcore.SystemTests.Systemd;

/// <summary>The small programs between the test and a host's systemd.</summary>
internal static class HostScripts
{
    /// <summary>What <see cref="Boot"/> says when its host has ended by itself.</summary>
    public const string Ended = "systemd-nspawn ended";

    /// <summary>What <see cref="Switch"/> says when it forwards.</summary>
    public const string Ready = "ready";

    /// <summary>
    /// Owns one host from start to end. It lives in a mount namespace of its own, which holds the host's layers, so that
    /// all of it is gone with the last process, however that ends. It obeys <see cref="PowerCycle"/> and ends when its
    /// standard input does, which happens also when the test is killed.
    /// </summary>
    /// <remarks>
    /// Arguments: host name, image, directory, notification socket, process in the switch's namespace, address/prefix,
    /// default router, MAC, control groups (the unified one first). Environment: FIRST, the text of <see cref="First"/>,
    /// and BOOT, that of <see cref="Boot"/>.
    /// </remarks>
    public const string Owner = """
        set -eu
        trap '' INT TERM HUP
        name=$1 image=$2 dir=$3 notify=$4 switch=$5 address=$6 router=$7 mac=$8
        shift 8

        mkdir -p "$dir"
        mount -t tmpfs -o mode=0755 tmpfs "$dir"
        mkdir "$dir/upper" "$dir/work" "$dir/root"
        mount -t overlay -o "lowerdir=$image,upperdir=$dir/upper,workdir=$dir/work" overlay "$dir/root"
        echo "$name" > "$dir/root/etc/hostname"
        printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n' "$name" > "$dir/root/etc/hosts"
        printf '%s\n' "$FIRST" > "$dir/root/sbin/kcore-test-first"
        chmod 0755 "$dir/root/sbin/kcore-test-first"
        mkdir -p "$@"

        # The network namespace is the machine's memory, not its disk: each boot gets a new one.
        on() {
          unshare --net /bin/sh -c "$BOOT" kcore-test \
            "$name" "$name-$$" "$dir/root" "$notify" "$switch" "$address" "$router" "$mac" "$@" < /dev/null &
        }
        off() {
          echo 1 > "$1/cgroup.kill"
          # The kernel takes a moment to bury them all.
          until grep -q 'populated 0' "$1/cgroup.events"; do sleep 0.02; done
        }

        on "$@"
        while read -r order; do
          [ "$order" != power-cycle ] || { off "$@"; on "$@"; }
        done
        off "$@"
        wait
        for group; do
          # The files in there are not files: only directories, the innermost first.
          find "$group" -depth -type d -exec rmdir {} + || true
        done
        umount "$dir/root" "$dir"
        rmdir "$dir" "/run/systemd/nspawn/propagate/$name-$$" "/run/systemd/nspawn/unix-export/$name-$$" 2>/dev/null || true
        """;

    /// <summary>Order to <see cref="Owner"/>: kill everything in the host at once, then boot from the same disk.</summary>
    public const string PowerCycle = "power-cycle";

    /// <summary>
    /// One boot, in a network namespace of its own: plugs the cable in and becomes the host. Its own process counts as
    /// the host's, so the power switch takes it too.
    /// </summary>
    /// <remarks>
    /// Arguments: host name, machine name, root directory, notification socket, process in the switch's namespace,
    /// address/prefix, default router, MAC, control groups.
    /// </remarks>
    public const string Boot = """
        set -eu
        name=$1 machine=$2 root=$3 notify=$4 switch=$5 address=$6 router=$7 mac=$8
        shift 8
        for group; do
          mkdir -p "$group"
          echo 0 > "$group/cgroup.procs"
        done

        # A plain Debian: no forwarding, and br_netfilter not loaded.
        echo 0 > /proc/sys/net/ipv4/ip_forward
        for family in iptables ip6tables arptables; do
          [ ! -e /proc/sys/net/bridge/bridge-nf-call-$family ] || echo 0 > /proc/sys/net/bridge/bridge-nf-call-$family
        done
        ip link set lo up
        # The other end of the cable of a boot that is over goes when the kernel gets round to it.
        nsenter --target "$switch" --net ip link delete "$name" 2>/dev/null || true
        ip link add eth0 address "$mac" type veth peer name "$name" netns "$switch"
        nsenter --target "$switch" --net ip link set "$name" master lan up
        ip address add "$address" brd + dev eth0
        ip link set eth0 up
        # A default route makes eth0 the device a node advertises; there is nothing behind the switch.
        ip route add default via "$router"

        set +e
        env -i PATH="$PATH" LANG=C.UTF-8 NOTIFY_SOCKET="$notify" \
          SYSTEMD_NSPAWN_API_VFS_WRITABLE=network SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_LOCK=0 \
          systemd-nspawn --quiet --directory="$root" --machine="$machine" --hostname="$name" \
            --register=no --keep-unit --network-namespace-path=/proc/$$/ns/net --notify-ready=yes \
            --capability=all --drop-capability=CAP_SYS_TIME --private-users=no --link-journal=no --resolv-conf=off \
            --timezone=off --console=read-only --kill-signal=SIGRTMIN+3 -- /sbin/kcore-test-first
        echo "systemd-nspawn ended with $?"
        """;

    /// <summary>
    /// First process of a host, before systemd. systemd-nspawn shows the machine's /sys read-only; with a fresh one of
    /// this network namespace, writable, systemd-udevd runs and treats new links as on a real machine.
    /// </summary>
    public const string First = """
        #!/bin/sh
        umount -R /sys || umount -l /sys
        mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
        mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
        # What is the whole machine's stays out of reach.
        for part in power kernel firmware module; do
          [ -d /sys/$part ] && mount --bind /sys/$part /sys/$part && mount -o remount,bind,ro /sys/$part
        done
        [ ! -e /proc/sysrq-trigger ] || mount --bind /dev/null /proc/sysrq-trigger
        exec /lib/systemd/systemd
        """;

    /// <summary>
    /// The switch: a bridge in a network namespace that lasts as long as this program's standard input. Argument: its
    /// own address/prefix.
    /// </summary>
    public const string Switch = """
        set -eu
        trap '' INT TERM HUP
        for family in iptables ip6tables arptables; do
          [ ! -e /proc/sys/net/bridge/bridge-nf-call-$family ] || echo 0 > /proc/sys/net/bridge/bridge-nf-call-$family
        done
        # Multicast goes to everybody, as through the cheapest switch.
        ip link add lan type bridge mcast_snooping 0
        ip address add "$1" dev lan
        ip link set lan up
        echo ready
        cat > /dev/null
        """;
}
