using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Dataplane.Desired;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>Intents for tests: the behaviour list's own values where it has any.</summary>
internal static class Intents
{
    public static readonly UInt128 NodeA = new(0, 0xa);
    public static readonly UInt128 NodeB = new(0, 0xb);
    public static readonly UInt128 NodeC = new(0, 0xc);

    public static IPAddress Vtep(int node) => new([192, 0, 2, (byte)(10 + node)]);

    public static NodeIntent Self => new()
    {
        Name = "node-a",
        Uid = NodeA,
        Vtep = Vtep(1),
        EgressInterface = "eth0",
        UnderlayMtu = 1500,
    };

    public static OverlayIntent Prod => new()
    {
        Name = "prod",
        Uid = 1,
        Vni = 14458,
        Bridge = "kbr-prod",
        VxlanDevice = "vxlan14458",
        Gateway = IPAddress.Parse("10.88.0.1"),
        PrefixLength = 24,
        OutboundNat = true,
        Peers = [new PeerIntent(Vtep(3), "node-c", NodeC), new PeerIntent(Vtep(2), "node-b", NodeB)],
        RemoteNics = [Remote("web-02", 2, 2)],
        LocalNics = [Tap("web-01", 1)],
    };

    public static LocalNetworkIntent Lan => new()
    {
        Name = "lan",
        Uid = 2,
        Bridge = "kbr-lan",
        Mtu = 1500,
        Nat = new NatIntent(
            IPAddress.Parse("10.99.0.1"), 24, "eth0", new GuestRange(IPAddress.Parse("10.99.0.100"), IPAddress.Parse("10.99.0.199"), IPAddress.Parse("10.99.0.1")),
            [new PublishedPort(Vtep(1), TransportProtocol.Tcp, 8080, IPAddress.Parse("10.99.0.100"), 80)]),
        LocalNics = [Tap("vm", 7) with { Address = IPAddress.Parse("10.99.0.100"), Gateway = IPAddress.Parse("10.99.0.1") }],
    };

    public static LocalNetworkIntent Office => new()
    {
        Name = "office",
        Uid = 3,
        Bridge = "kbr-office",
        Mtu = 1500,
        Uplink = "eth1",
        LocalNics = [Tap("pc", 8) with { Address = null }],
    };

    public static LocalNetworkIntent Tagged => new()
    {
        Name = "tagged",
        Uid = 4,
        Bridge = "kbr-tagged",
        Mtu = 1500,
        Vlan = new VlanIntent("eth0", 120, "eth0.120"),
    };

    public static DataplaneIntent With(params OverlayIntent[] overlays) =>
        new(Self, [.. overlays], [Vtep(1), Vtep(2), Vtep(3)]);

    public static RemoteNicIntent Remote(string name, int host, int node) =>
        new(name, Mac(host), Guest(host), Vtep(node), $"node-{(char)('a' + node - 1)}");

    public static LocalNicIntent Tap(string name, int host) => new()
    {
        Name = name,
        AttachmentId = $"a{host}",
        Mac = Mac(host),
        Address = Guest(host),
        PrefixLength = 24,
        Gateway = IPAddress.Parse("10.88.0.1"),
        Device = $"tap-{host:x8}",
        Attachment = new NicAttachment.Tap(),
    };

    public static LocalNicIntent Netns(string name, int host, string path, string interfaceName = "eth0") =>
        Tap(name, host) with { Attachment = new NicAttachment.Netns(path, interfaceName) };

    public static PhysicalAddress Mac(int host) => new([0x52, 0x54, 0, 0, (byte)(host >> 8), (byte)host]);

    public static IPAddress Guest(int host) => new([10, 88, 0, (byte)(10 + host)]);
}
