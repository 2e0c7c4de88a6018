using System.Collections.Immutable;
using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Cluster.Discovery;
using Kcore.Netlink;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Win32.SafeHandles;

namespace Kcore.Daemon.Tests.Cluster.Discovery;

/// <summary>Real sockets in network namespaces made for the test, whose only card is one end of a veth pair.</summary>
public sealed class MdnsDiscoveryTests
{
    /// <summary>When who says what is for the tests of the engine, which have a clock of their own; here the processors are others' too.</summary>
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    private static readonly Announcement NodeA = DnsCodecTests.Node;
    private static readonly Announcement NodeB = NodeA with { NodeUid = 0xCD, ClusterId = null, GossipPort = 8946, RaftPort = 8947 };

    [SkippableFact]
    public async Task The_interfaces_are_listed_while_others_come_and_go()
    {
        using Namespaces namespaces = Namespaces.MakeOrSkip();
        NamespacedNetwork network = namespaces.NetworkOf(namespaces.A);
        string batch = Path.GetTempFileName();
        try
        {
            // What is read of a device may change between two questions about it.
            await File.WriteAllLinesAsync(batch, Enumerable.Range(0, 12).SelectMany(_ => Enumerable.Range(0, 10).SelectMany(i => new[]
            {
                $"link add d{i} type bridge", $"addr add 10.78.{i}.1/24 dev d{i}", $"link set d{i} up", $"link del d{i}",
            })));
            using Process churn = Process.Start(new ProcessStartInfo("ip", $"-n {namespaces.A} -batch {batch}") { UseShellExecute = false })!;
            int scans = 0;
            while (!churn.HasExited)
            {
                try
                {
                    Assert.Contains(network.Scan(), i => i.Name == "eth0" && i.Subnets is [{ PrefixLength: 24 }]);
                    scans++;
                }
                catch (NetlinkException e) when (e.Errno == Errno.EAGAIN)
                {
                    // Discovery goes on with what it had.
                }
            }

            Assert.True(churn.ExitCode == 0 && scans > 10, $"{scans} scans, ip ended with {churn.ExitCode}");
        }
        finally
        {
            File.Delete(batch);
        }
    }

    [SkippableFact]
    public async Task Two_hosts_find_each_other_without_a_default_route()
    {
        using Namespaces hosts = Namespaces.MakeOrSkip();
        await using var a = new Running(hosts.NetworkOf(hosts.A), NodeA);
        await using var b = new Running(hosts.NetworkOf(hosts.B), NodeB);

        DiscoveredPeer seenByA = await a.NextAsync(peer => peer.Node == NodeB, Soon);
        DiscoveredPeer seenByB = await b.NextAsync(peer => peer.Node == NodeA, Soon);
        Assert.Equal([IPAddress.Parse("10.77.0.2")], seenByA.Addresses.ToArray());
        Assert.Equal([IPAddress.Parse("10.77.0.1")], seenByB.Addresses.ToArray());
        Assert.Equal("eth0", seenByA.Interface);

        Announcement founded = NodeB with { ClusterId = 5, ClusterEpoch = 1 };
        b.Discovery.Announce(founded);
        await a.NextAsync(peer => peer.Node == founded, Soon);
        await b.StopAsync();
        await a.NextAsync(peer => peer.IsGoodbye && peer.Node == founded, Soon);
    }

    [SkippableFact]
    public async Task A_late_host_is_found_soon()
    {
        using Namespaces hosts = Namespaces.MakeOrSkip();
        await using var a = new Running(hosts.NetworkOf(hosts.A), NodeA);
        await Task.Delay(TimeSpan.FromSeconds(3));
        await using var b = new Running(hosts.NetworkOf(hosts.B), NodeB);

        await a.NextAsync(peer => peer.Node == NodeB, Soon);
        await b.NextAsync(peer => peer.Node == NodeA, Soon);
    }

    [SkippableFact]
    public async Task Two_daemons_of_one_host_see_each_other()
    {
        using Namespaces hosts = Namespaces.MakeOrSkip();
        await using var a = new Running(hosts.NetworkOf(hosts.A), NodeA);
        await using var b = new Running(hosts.NetworkOf(hosts.A), NodeB);

        await a.NextAsync(peer => peer.Node == NodeB, Soon);
        await b.NextAsync(peer => peer.Node == NodeA, Soon);
    }

    [SkippableFact]
    public async Task A_host_whose_address_changed_is_seen_at_the_new_one()
    {
        using Namespaces hosts = Namespaces.MakeOrSkip();
        await using var a = new Running(hosts.NetworkOf(hosts.A), NodeA);
        await using var b = new Running(hosts.NetworkOf(hosts.B), NodeB);
        await a.NextAsync(peer => peer.Node == NodeB, Soon);

        Namespaces.Ip($"-n {hosts.B} addr flush dev eth0");
        Namespaces.Ip($"-n {hosts.B} addr add 10.88.0.9/24 dev eth0");
        await a.NextAsync(
            peer => peer.Node == NodeB && peer.Addresses.SequenceEqual([IPAddress.Parse("10.88.0.9")]),
            MdnsDiscovery.ScanInterval + Soon);
    }

    [SkippableFact]
    public async Task Port_5353_is_shared_with_a_responder_bound_to_every_address()
    {
        // As avahi does it: both options, any address, the group joined.
        using Namespaces hosts = Namespaces.MakeOrSkip();
        using Socket avahi = hosts.NetworkOf(hosts.A).Within(() =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.SetRawSocketOption(1, 2, [1, 0, 0, 0]);
            socket.SetRawSocketOption(1, 15, [1, 0, 0, 0]);
            socket.Bind(new IPEndPoint(IPAddress.Any, 5353));
            socket.SetSocketOption(
                SocketOptionLevel.IP,
                SocketOptionName.AddMembership,
                new MulticastOption(IPAddress.Parse("224.0.0.251"), IPAddress.Parse("10.77.0.1")));
            return socket;
        });
        await using var a = new Running(hosts.NetworkOf(hosts.A), NodeA);
        await using var b = new Running(hosts.NetworkOf(hosts.B), NodeB);
        await a.NextAsync(peer => peer.Node == NodeB, Soon);

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        var heard = new HashSet<UInt128>();
        byte[] buffer = new byte[9_000];
        while (heard.Count < 2)
        {
            SocketReceiveFromResult packet = await avahi.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0), limit.Token);
            Assert.True(DnsReader.TryRead(buffer.AsSpan(0, packet.ReceivedBytes), out DnsMessage message));
            heard.UnionWith(KcoreService.ReadPeers(message, IPAddress.Any, "eth0").Select(peer => peer.Node.NodeUid));
        }

        Assert.Equal([NodeA.NodeUid, NodeB.NodeUid], heard.Order());
    }

    [SkippableFact]
    public void The_address_to_advertise_is_read_from_the_kernel()
    {
        using Namespaces hosts = Namespaces.MakeOrSkip();
        Namespaces.Ip($"-n {hosts.A} link add kbr-red type bridge");
        Namespaces.Ip($"-n {hosts.A} addr add 10.99.0.1/24 dev kbr-red");
        Namespaces.Ip($"-n {hosts.A} link set kbr-red up");
        Namespaces.Ip($"-n {hosts.A} route add default via 10.77.0.2 dev eth0 metric 50");

        ImmutableArray<HostInterface> read = hosts.NetworkOf(hosts.A).Within(HostInterfaceReader.Read);
        Assert.Equal(50u, Assert.Single(read, i => i.Name == "eth0").DefaultRouteMetric);
        Assert.Equal(
            new AdvertisedAddress.Chosen(IPAddress.Parse("10.77.0.1"), "eth0", "the default route goes through eth0"),
            AdvertisedAddress.Choose(read, advertise: null));
    }

    [SkippableFact]
    public void Only_the_card_is_used_and_it_is_up()
    {
        using Namespaces hosts = Namespaces.MakeOrSkip();
        Namespaces.Ip($"-n {hosts.A} link add kbr-red type bridge");
        Namespaces.Ip($"-n {hosts.A} addr add 10.99.0.1/24 dev kbr-red");
        Namespaces.Ip($"-n {hosts.A} link set kbr-red up");

        MdnsInterface only = Assert.Single(hosts.NetworkOf(hosts.A).Scan());
        Assert.Equal("eth0", only.Name);
        Assert.Equal([new MdnsSubnet(IPAddress.Parse("10.77.0.1"), 24)], only.Subnets.ToArray());
    }

    private sealed class Running : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _run;

        public Running(IMdnsNetwork network, Announcement announcement)
        {
            Discovery = new MdnsDiscovery(
                network, TimeProvider.System, new Random((int)announcement.NodeUid), NullLogger<MdnsDiscovery>.Instance);
            Discovery.Announce(announcement);
            _run = Discovery.RunAsync(_stop.Token);
        }

        public MdnsDiscovery Discovery { get; }

        public async Task<DiscoveredPeer> NextAsync(Predicate<DiscoveredPeer> wanted, TimeSpan within)
        {
            using var limit = new CancellationTokenSource(within);
            await foreach (DiscoveredPeer peer in Discovery.Sightings.ReadAllAsync(limit.Token))
            {
                if (wanted(peer))
                {
                    return peer;
                }
            }

            throw new InvalidOperationException("Discovery ended.");
        }

        public async Task StopAsync()
        {
            await _stop.CancelAsync();
            await _run;
        }

        public async ValueTask DisposeAsync()
        {
            await StopAsync();
            _stop.Dispose();
        }
    }

    /// <summary>Two namespaces joined by a veth pair whose ends are both called eth0.</summary>
    private sealed class Namespaces : IDisposable
    {
        private readonly string _id = Guid.NewGuid().ToString("N")[..6];

        public string A => $"kmdns-{_id}-a";

        public string B => $"kmdns-{_id}-b";

        public static Namespaces MakeOrSkip()
        {
            Skip.IfNot(Environment.IsPrivilegedProcess, "Making network namespaces takes root.");
            var made = new Namespaces();
            try
            {
                Ip($"netns add {made.A}");
                Ip($"netns add {made.B}");
                Ip($"-n {made.A} link add eth0 type veth peer name eth0 netns {made.B}");
                Ip($"-n {made.A} addr add 10.77.0.1/24 dev eth0");
                Ip($"-n {made.B} addr add 10.77.0.2/24 dev eth0");
                Ip($"-n {made.A} link set eth0 up");
                Ip($"-n {made.B} link set eth0 up");

                // The kernel calls a link running up to a second after its other end is up (linkwatch), and nobody uses it before.
                foreach (string host in (string[])[made.A, made.B])
                {
                    Assert.True(SpinWait.SpinUntil(() => made.NetworkOf(host).Scan().Any(), TimeSpan.FromSeconds(10)), $"the card of {host} does not run");
                }

                return made;
            }
            catch
            {
                made.Dispose();
                throw;
            }
        }

        public NamespacedNetwork NetworkOf(string name) => new NamespacedNetwork(name);

        public static void Ip(string arguments)
        {
            using Process ip = Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardError = true, UseShellExecute = false })!;
            string errors = ip.StandardError.ReadToEnd();
            ip.WaitForExit();
            Assert.True(ip.ExitCode == 0, $"ip {arguments}: {errors}");
        }

        public void Dispose()
        {
            foreach (string name in new[] { A, B })
            {
                if (File.Exists($"/run/netns/{name}"))
                {
                    Ip($"netns del {name}");
                }
            }
        }
    }

    /// <summary>The real network of another namespace: each call enters it on the calling thread and comes back.</summary>
    private sealed class NamespacedNetwork(string name) : IMdnsNetwork
    {
        private const int CloneNewNet = 0x40000000;

        private readonly LinuxMdnsNetwork _inner = new();

        public ImmutableArray<MdnsInterface> Scan() => Within(_inner.Scan);

        public IMdnsSocket Open(MdnsInterface on) => Within(() => _inner.Open(on));

        public T Within<T>(Func<T> act)
        {
            using SafeFileHandle home = File.OpenHandle("/proc/thread-self/ns/net");
            using SafeFileHandle there = File.OpenHandle($"/run/netns/{name}");
            Enter(there);
            try
            {
                return act();
            }
            finally
            {
                Enter(home);
            }
        }

        private static void Enter(SafeFileHandle ns)
        {
            if (SetNamespace(ns, CloneNewNet) != 0)
            {
                throw new Win32Exception(Marshal.GetLastPInvokeError());
            }
        }

        [DllImport("libc", EntryPoint = "setns", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
        private static extern int SetNamespace(SafeFileHandle ns, int kind);
    }
}
