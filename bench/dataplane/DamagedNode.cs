using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Kcore.Contracts;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;
using Kcore.Netlink.Wireguard;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.Bench.Dataplane;

/// <param name="Objects">What repairs of it touch: two of a kind within ten seconds and it would become a fight.</param>
internal sealed record Damage(string Name, string[] Objects, Action Strike, Func<bool> IsHealed);

/// <summary>One node with what can be broken on it, and how to tell that it is whole again.</summary>
internal sealed class DamagedNode : IDisposable
{
    private static readonly TimeSpan _window = TimeSpan.FromSeconds(11);
    private static readonly IPAddress _wrong = IPAddress.Parse("10.77.0.99");
    private static readonly IPAddress _nobody = IPAddress.Parse("10.90.0.250");
    private static readonly PhysicalAddress _stranger = new([2, 0, 0, 0, 0, 9]);
    private static readonly byte[] _strangersKey = [.. Enumerable.Range(1, 32).Select(i => (byte)(i * 7))];
    private static readonly PhysicalAddress _none = new(new byte[6]);

    private readonly string _ns;
    private readonly string _bridge;
    private readonly string _tunnel;
    private readonly string _veth;
    private readonly string _tap;
    private readonly RouteSocket _socket;
    private readonly List<Damage> _damages;
    private readonly List<(string Object, TimeSpan At)> _struck = [];
    private readonly NeighbourInfo _unicast;
    private readonly NeighbourInfo _flood;
    private readonly NeighbourInfo _neighbour;
    private readonly LanNode _node;
    private readonly string _secretTunnel;
    private readonly NeighbourInfo _secret;
    private readonly NeighbourInfo _secretFlood;
    private readonly IPAddress _peer;
    private readonly IPAddress _mesh;
    private readonly string _homeBridge;
    private readonly string _homeNetwork;
    private int _killed;

    private DamagedNode(LanNode node, NetworkDetail network, NetworkDetail secret, NetworkDetail home, NicInfo veth, NicInfo tap)
    {
        _node = node;
        _secretTunnel = secret.VxlanDevice!;
        _homeBridge = home.Bridge;
        _homeNetwork = home.NetworkCidr;
        Name = node.Name;
        _ns = node.Namespace;
        _bridge = network.Bridge;
        _tunnel = network.VxlanDevice!;
        _veth = veth.Device;
        _tap = tap.Device;
        _socket = RouteSocket.Open(NetworkNamespace.Named(_ns));
        NeighbourInfo[] fdb = [.. _socket.DumpFdb(Index(_tunnel)).Where(e => e.Destination is not null && e.Mac is not null)];
        _unicast = fdb.First(e => !IsFlood(e));
        _flood = fdb.First(IsFlood);
        _neighbour = _socket.DumpNeighbours(AddressFamily.InterNetwork, Index(_bridge)).First(n => n.Protocol == KcoreMark.Protocol);
        NeighbourInfo[] encrypted = [.. _socket.DumpFdb(Index(_secretTunnel)).Where(e => e.Destination is not null && e.Mac is not null)];
        _secret = encrypted.First(e => !IsFlood(e));
        _secretFlood = encrypted.First(IsFlood);
        _peer = _unicast.Destination!;
        _mesh = IPAddress.Parse(secret.Nodes.Single(n => n.Node == node.Name).Vtep!);
        Tables = Nft("list table inet kcore") + Nft("list table bridge kcore");
        MeshAsItShouldBe = Mesh();
        PhysicalAddress guest = PhysicalAddress.Parse(tap.Mac.Replace(":", "", StringComparison.Ordinal).ToUpperInvariant());
        ByHand =
        [
            new(_tunnel, _unicast.Mac!, _wrong), new(_tunnel, _none, _wrong), new(_tunnel, _stranger, _wrong),
            new(_secretTunnel, _secret.Mac!, _peer), new(_secretTunnel, _none, _peer),
            new(_tunnel, _stranger, null), new(_veth, guest, null),
        ];
        _damages = [.. All(guest)];
    }

    public string Name { get; }

    /// <summary>What the hand itself makes point to the wrong place.</summary>
    public IReadOnlyCollection<Placed> ByHand { get; }

    private string Tables { get; }

    private string MeshAsItShouldBe { get; }

    public static async Task<DamagedNode> OpenAsync(LanNode node)
    {
        NetworkDetail network = await node.DescribeNetworkAsync("chaos");
        NetworkDetail secret = await node.DescribeNetworkAsync("secret");
        NetworkDetail home = await node.DescribeNetworkAsync("default");
        NicInfo[] nics = [.. (await node.NicsAsync("chaos")).Where(n => n.Node == node.Name)];
        return new DamagedNode(node, network, secret, home, nics.First(n => n.Netns is not null), nics.First(n => n.Netns is null));
    }

    /// <summary>A damage that is no fight yet, or null when there is none.</summary>
    public Damage? Choose(Random random, TimeSpan now)
    {
        _struck.RemoveAll(s => now - s.At > _window);
        Damage[] possible = [.. _damages.Where(d => d.Objects.All(o => _struck.Count(s => s.Object == o) < 2))];
        if (possible.Length == 0)
        {
            return null;
        }

        Damage chosen = possible[random.Next(possible.Length)];
        _struck.AddRange(chosen.Objects.Select(o => (o, now)));
        return chosen;
    }

    public void Dispose() => _socket.Dispose();

    private IEnumerable<Damage> All(PhysicalAddress tapMac)
    {
        string[] entries = ["fdb", "flood", "extra"];
        string[] tunnel = ["tunnel", .. entries];
        yield return new("entry deleted", ["fdb"], () => Do(b => b.DeleteFdbUnicast(Index(_tunnel), _unicast.Mac!, _unicast.Destination!, NeighbourFlags.Self)), () => Entries().Any(e => Same(e, _unicast)));
        yield return new("entry to a wrong host", ["fdb"], () => Do(b => b.ReplaceFdbUnicast(Index(_tunnel), _unicast.Mac!, _wrong)), () => Entries().Any(e => Same(e, _unicast)));
        yield return new("flood entry deleted", ["flood"], () => Do(b => b.DeleteFdbFlood(Index(_tunnel), _flood.Destination!)), () => Entries().Any(e => Same(e, _flood)));
        yield return new("flood entry to a wrong host", ["extra"], () => Do(b => b.AppendFdbFlood(Index(_tunnel), _wrong)), () => !Entries().Any(e => _wrong.Equals(e.Destination)));
        yield return new("unknown MAC to a wrong host", ["stray"], () => Do(b => b.ReplaceFdbUnicast(Index(_tunnel), _stranger, _wrong)), () => !Entries().Any(e => _wrong.Equals(e.Destination)));
        yield return new("MAC of a guest at the wrong port", ["mac"], () => Do(b => b.ReplaceFdbLocal(Index(_veth), tapMac)), () => _socket.DumpFdb(Index(_tap)).Any(e => tapMac.Equals(e.Mac) && e.Master is not null));
        yield return new("neighbour deleted", ["neigh"], () => Do(b => b.DeleteNeighbour(Index(_bridge), _neighbour.Destination!)), IsNeighbour);
        yield return new("neighbour with a wrong MAC", ["neigh"], () => Do(b => b.ReplaceNeighbour(Index(_bridge), _neighbour.Destination!, _stranger)), IsNeighbour);
        yield return new("address of the bridge deleted", ["addr", "neigh"], () => Ip($"addr del 10.90.0.1/24 dev {_bridge}"), () => _socket.DumpAddresses(Index(_bridge)).Any(a => a.Address.ToString() == "10.90.0.1"));
        yield return new("way to the bridge's network deleted", ["route"], () => Ip($"route del 10.90.0.0/24 dev {_bridge}"), () => IsRoute("10.90.0.0/24", _bridge));
        yield return new("gateway not the host's own", ["local route"], () => Ip($"route del local 10.90.0.1 dev {_bridge} table local"), () => IsRoute("10.90.0.1/32", _bridge));
        yield return new("neighbour that is nobody", ["stray neigh"], () => Do(b => b.ReplaceNeighbour(Index(_bridge), _nobody, _stranger)),
            () => !_socket.DumpNeighbours(AddressFamily.InterNetwork, Index(_bridge)).Any(n => _nobody.Equals(n.Destination)));
        yield return new("TAP out of its bridge", ["tap", "mac"], () => Ip($"link set {_tap} nomaster"), () => IsPort(_tap));
        yield return new("veth out of its bridge", ["veth", "mac"], () => Ip($"link set {_veth} nomaster"), () => IsPort(_veth));
        yield return new("TAP down", ["tap"], () => Ip($"link set {_tap} down"), () => _socket.FindLink(_tap) is { IsUp: true });
        yield return new("TAP's MTU", ["tap mtu"], () => Ip($"link set {_tap} mtu 1300"), () => _socket.FindLink(_tap)?.Mtu == 1450);
        yield return new("port unlocked, learning", ["port"], () => Run("bridge", $"-n {_ns} link set dev {_tap} learning on locked off"), () => IsPort(_tap));
        yield return new("tunnel learns", ["tunnel learning"], () => Ip($"link set {_tunnel} type vxlan learning"), () => _socket.FindLink(_tunnel)?.Vxlan is { Learning: false });
        yield return new("tunnel down", [.. tunnel], () => Ip($"link set {_tunnel} down"), () => _socket.FindLink(_tunnel) is { IsUp: true } && Entries().Any(e => Same(e, _unicast)));
        yield return new("tunnel deleted", [.. tunnel], () => Ip($"link del {_tunnel}"), () => IsPort(_tunnel, suppress: true) && Entries().Any(e => Same(e, _unicast)) && Entries().Any(e => Same(e, _flood)));
        yield return new("bridge deleted", [.. tunnel, "addr", "neigh", "mac", "tap", "veth", "port", "bridge", "setting"], () => Ip($"link del {_bridge}"),
            () => IsPort(_tap) && IsPort(_veth) && IsPort(_tunnel, suppress: true) && IsNeighbour() && Entries().Any(e => Same(e, _unicast)));
        yield return new("guest's pair deleted", ["veth", "mac", "port"], () => Ip($"link del {_veth}"), () => IsPort(_veth));
        yield return new("forwarding switched off", ["setting"], () => Run("ip", $"netns exec {_ns} sysctl -qw net.ipv4.ip_forward=0"), () => Netns.ReadSysctl(_ns, "net/ipv4/ip_forward").Trim() == "1");
        yield return new("nft table deleted", ["nft"], () => Nft("delete table inet kcore"), IsNft);
        yield return new("nft chain emptied", ["nft"], () => Nft("flush chain bridge kcore guests"), IsNft);
        yield return new("nft set without a member", ["nft"], () => Nft("flush set inet kcore vteps4"), IsNft);
        yield return new("nft set with a stranger", ["nft"], () => Nft($"add element inet kcore vteps4 {{ {_wrong} }}"), IsNft);
        yield return new("DHCP server killed", ["dhcp"], () => Run("kill", $"-9 {ServerPid()}"), IsServed);
        yield return new("nat bridge without its address", ["home addr"], () => Ip($"addr flush dev {_homeBridge}"), () => IsRoute(_homeNetwork, _homeBridge));
        yield return new("nat bridge deleted", ["home", "home addr", "dhcp", "setting"], () => Ip($"link del {_homeBridge}"), () => IsRoute(_homeNetwork, _homeBridge) && IsServed());
        // With the last address of a device the kernel forgets its neighbours too, hence "neigh" above.
        yield return new("secret entry to a host in clear", ["secret"], () => Do(b => b.ReplaceFdbUnicast(Index(_secretTunnel), _secret.Mac!, _peer)), () => Entries(_secretTunnel).Any(e => Same(e, _secret)));
        yield return new("secret entry deleted", ["secret"], () => Do(b => b.DeleteFdbUnicast(Index(_secretTunnel), _secret.Mac!, _secret.Destination!, NeighbourFlags.Self)), () => Entries(_secretTunnel).Any(e => Same(e, _secret)));
        yield return new("secret flood entry to a host in clear", ["secret flood"], () => Do(b => b.AppendFdbFlood(Index(_secretTunnel), _peer)), () => !Entries(_secretTunnel).Any(e => _peer.Equals(e.Destination)));
        yield return new("secret tunnel from an address in clear", ["secret local"], () => Ip($"link set {_secretTunnel} type vxlan local {_node.Address}"), () => _mesh.Equals(_socket.FindLink(_secretTunnel)?.Vxlan?.Local));
        yield return new("secret numbers taken from the filter", ["nft"], () => Nft("flush set inet kcore secret_vnis"), IsNft);
        yield return new("mesh down", ["mesh"], () => Ip("link set kwg0 down"), IsMesh);
        yield return new("mesh without its address", ["mesh"], () => Ip("addr flush dev kwg0"), IsMesh);
        yield return new("mesh's MTU", ["mesh"], () => Ip("link set kwg0 mtu 1300"), () => IsMesh() && _socket.FindLink("kwg0")?.Mtu == 1440);
        yield return new("mesh process killed", ["mesh"], KillMesh, () => IsMesh() && _socket.FindLink("kwg0")?.Index != _killed);
        yield return new("mesh deleted", ["mesh"], DeleteMesh, () => IsMesh() && _socket.FindLink("kwg0")?.Index != _killed);
        yield return new("mesh without its way", ["mesh"], () => Ip($"route del {MeshPool.Text} dev kwg0"), IsMesh);
        yield return new("mesh peer removed", ["mesh"], () => ChangeMesh(p => new(p.PublicKey) { Remove = true }), IsMesh);
        yield return new("mesh peer without its address", ["mesh"], () => ChangeMesh(p => new(p.PublicKey) { AllowedIps = [] }), IsMesh);
        yield return new("mesh address with a stranger", ["mesh"], () => ChangeMesh(p => new(_strangersKey) { AllowedIps = p.AllowedIps }), IsMesh);
        yield return new("mesh with another key", ["mesh"], () => ChangeMesh(null), IsMesh);
        yield return new("nft rule added", ["nft"], () => Nft("insert rule inet kcore input accept"), IsNft);
    }

    private static bool IsFlood(NeighbourInfo entry) => entry.Mac is { } mac && mac.GetAddressBytes().All(b => b == 0);

    private static bool Same(NeighbourInfo a, NeighbourInfo b) => Equals(a.Mac, b.Mac) && Equals(a.Destination, b.Destination);

    private IEnumerable<NeighbourInfo> Entries() => Entries(_tunnel);

    private IEnumerable<NeighbourInfo> Entries(string device) => _socket.FindLink(device) is { } tunnel ? _socket.DumpFdb(tunnel.Index) : [];

    private bool IsMesh() => _socket.FindLink("kwg0") is { IsUp: true } mesh && _socket.DumpAddresses(mesh.Index).Any(a => a.Address.Equals(_mesh))
        && IsRoute(MeshPool.Text, "kwg0") && Mesh() == MeshAsItShouldBe;

    /// <summary>Key and peers with their addresses, without what follows from traffic.</summary>
    private string Mesh()
    {
        try
        {
            WireguardInfo seen = MeshDevice().ReadAsync(CancellationToken.None).GetAwaiter().GetResult();
            return Convert.ToHexString(seen.PrivateKey.Span) + string.Concat(seen.Peers
                .Select(p => $" {Convert.ToHexString(p.PublicKey.Span)} {string.Join(',', p.AllowedIps)} {p.Keepalive}").Order(StringComparer.Ordinal));
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            return "";
        }
    }

    private UapiMeshDevice MeshDevice() =>
        new(_node.TunnelPidAsync().GetAwaiter().GetResult() is not 0 and int pid ? new TunnelProcess(pid, 0).SocketPath : throw new InvalidOperationException("the mesh has no process"), TimeProvider.System);

    /// <param name="damage">Of one of the peers; null for another key of this node.</param>
    private void ChangeMesh(Func<WireguardPeerInfo, WireguardPeerChange>? damage)
    {
        UapiMeshDevice device = MeshDevice();
        WireguardInfo seen = device.ReadAsync(CancellationToken.None).GetAwaiter().GetResult();
        if (damage is not null && seen.Peers.IsEmpty)
        {
            throw new InvalidOperationException("the mesh has no peers");
        }

        device.ChangeAsync(damage is null ? new WireguardChange { PrivateKey = _strangersKey } : new WireguardChange { Peers = [damage(seen.Peers[0])] }, CancellationToken.None).GetAwaiter().GetResult();
    }

    private void DeleteMesh()
    {
        _killed = Index("kwg0");
        Ip("link del kwg0");
    }

    private bool IsRoute(string destination, string device) => _socket.FindLink(device) is { IsUp: true } link
        && (_socket.DumpRoutes(AddressFamily.InterNetwork, RouteSpec.MainTable).Concat(_socket.DumpRoutes(AddressFamily.InterNetwork, RouteSpec.LocalTable)))
            .Any(r => r.LinkIndex == link.Index && r.Destination.ToString() == destination);

    private int ServerPid() => Servers() is [var pid] ? pid : throw new InvalidOperationException("there is no DHCP server");

    private int[] Servers() =>
    [
        .. Run("ip", $"netns pids {_ns}").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(p => int.Parse(p, CultureInfo.InvariantCulture)).Where(p => CommandLine(p).Contains("/dhcp/default.", StringComparison.Ordinal)),
    ];

    private static string CommandLine(int pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline");
        }
        catch (IOException)
        {
            return "";
        }
    }

    /// <summary>The server listens on the bridge that is there now.</summary>
    private bool IsServed() => Servers().Length == 1 && Run("ip", $"netns exec {_ns} ss -Hlnup").Contains($"%{_homeBridge}:67 ", StringComparison.Ordinal);

    private void KillMesh()
    {
        _killed = Index("kwg0");
        int pid = _node.TunnelPidAsync().GetAwaiter().GetResult();
        if (pid == 0)
        {
            throw new InvalidOperationException("the mesh has no process");
        }

        Run("kill", $"-9 {pid}");
    }

    private bool IsNeighbour() => _socket.FindLink(_bridge) is { } bridge
        && _socket.DumpNeighbours(AddressFamily.InterNetwork, bridge.Index).Any(n => Same(n, _neighbour) && n.Protocol == KcoreMark.Protocol);

    /// <summary>On its bridge, up, and with the flags it must have.</summary>
    private bool IsPort(string device, bool suppress = false) =>
        _socket.FindLink(device) is { IsUp: true, Port: { Learning: false } port } link
        && port.Locked == !suppress && port.NeighbourSuppress == suppress
        && _socket.FindLink(_bridge) is { IsUp: true } bridge && link.Master == bridge.Index;

    private bool IsNft() => Run("ip", $"netns exec {_ns} nft list table inet kcore", mayFail: true) + Run("ip", $"netns exec {_ns} nft list table bridge kcore", mayFail: true) == Tables;

    private int Index(string device) => _socket.FindLink(device)?.Index ?? throw new InvalidOperationException($"{device} is not there");

    private void Do(Action<RouteBatch> build)
    {
        RouteBatch batch = new();
        build(batch);
        _socket.Execute(batch);
    }

    private void Ip(string arguments) => Run("ip", $"-n {_ns} {arguments}");

    private string Nft(string arguments) => Run("ip", $"netns exec {_ns} nft {arguments}");

    private static string Run(string program, string arguments, bool mayFail = false)
    {
        CommandResult result = Command.RunAsync(program, arguments.Split(' ')).GetAwaiter().GetResult();
        return mayFail ? result.Stdout : result.OrThrow().Stdout;
    }
}
