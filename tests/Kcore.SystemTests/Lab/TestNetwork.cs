using Kcore.Contracts;
using Kcore.TestKit;
using Kcore.TestKit.Lan;

namespace Kcore.SystemTests.Lab;

/// <summary>An overlay a test made, with its guests; both are removed at the end.</summary>
internal sealed class TestNetwork : IAsyncDisposable
{
    private readonly NodeLan _lan;
    private readonly IReadOnlyList<LanNode> _members;
    private readonly List<Guest> _guests = [];

    private TestNetwork(NodeLan lan, IReadOnlyList<LanNode> members, string name, string subnet)
    {
        _lan = lan;
        _members = members;
        Name = name;
        Subnet = subnet;
    }

    public string Name { get; }

    /// <summary>The three leading numbers of the first /24, for example 10.250.0.</summary>
    public string Subnet { get; }

    public uint Vni => VniOf(Name);

    public string Vxlan => $"vxlan{Vni}";

    public string Bridge => $"kbr-{Name}";

    public string Gateway => Subnet + ".1";

    /// <summary>Behaviour 1, written again here so that a slip in the daemon's formula shows.</summary>
    public static uint VniOf(string name)
    {
        uint hash = 5381;
        foreach (byte b in System.Text.Encoding.UTF8.GetBytes(name))
        {
            hash = unchecked((hash * 33) + b);
        }

        return 10000 + (hash % 6000);
    }

    /// <summary>Creates the overlay through the first member and waits until it is ready on every member.</summary>
    public static async Task<TestNetwork> CreateAsync(
        NodeLan lan, IReadOnlyList<LanNode> members, string name, string subnet, params IReadOnlyList<string> more)
    {
        TestNetwork network = new(lan, members, name, subnet);
        (await members[0].KctlAsync(
            ["create", "network", name, "--gateway-ip", network.Gateway, "--internal-netmask", "255.255.255.0", "--type", "vxlan", .. more])).OrThrow();
        await network.ReadyAsync(TimeSpan.FromSeconds(5));
        return network;
    }

    /// <summary>The same network seen on other nodes, when the cluster has grown; it owns nothing.</summary>
    public TestNetwork On(IReadOnlyList<LanNode> members) => new(_lan, members, Name, Subnet);

    public Task<TimeSpan> ReadyAsync(TimeSpan within) => Until.SeenAsync(
        within,
        $"{Name} is programmed on {string.Join(", ", _members.Select(m => m.Name))}",
        async () =>
        {
            foreach (LanNode node in _members)
            {
                string? missing = await MissingOnAsync(node);
                if (missing is not null)
                {
                    return $"{node.Name}: {missing}";
                }
            }

            return null;
        });

    public async Task<Guest> AttachAsync(LanNode node, string name, params IReadOnlyList<string> more)
    {
        Guest guest = await _lan.AttachAsync(node, Name, name, more);
        _guests.Add(guest);
        return guest;
    }

    /// <summary>The guest has moved: where it was, it is no more.</summary>
    public async Task MovedAsync(Guest before, Guest after)
    {
        _guests.Remove(before);
        _guests.Add(after);
        await _lan.RemoveGuestAsync(before);
    }

    public async Task DetachAsync(Guest guest)
    {
        await _lan.DetachAsync(guest);
        _guests.Remove(guest);
    }

    /// <summary>Waits until every member's tunnel entries are exactly the peers and the remote NICs.</summary>
    public Task<TimeSpan> ForwardingIsExactAsync(TimeSpan within) => Until.SeenAsync(
        within,
        $"on every member, {Vxlan} has one flood entry per peer and one unicast entry per remote NIC, and nothing else",
        async () =>
        {
            foreach (LanNode node in _members)
            {
                FdbEntry[] expected =
                [
                    .. _members.Where(m => m != node).Select(m => new FdbEntry("00:00:00:00:00:00", m.Address)),
                    .. _guests.Where(g => g.Node != node).Select(g => new FdbEntry(g.Nic.Mac, g.Node.Address)),
                ];
                IReadOnlyList<FdbEntry> seen = await FdbEntry.OfAsync(node.Namespace, Vxlan);
                // Compared as lists: a duplicate is a difference.
                if (!expected.OrderBy(e => e.ToString(), StringComparer.Ordinal).SequenceEqual(seen.OrderBy(e => e.ToString(), StringComparer.Ordinal)))
                {
                    return $"{node.Name}: expected [{string.Join("; ", expected.Select(Show))}], seen [{string.Join("; ", seen.Select(Show))}]";
                }
            }

            return null;
        });

    /// <summary>Index of bridge, tunnel and every port on each member, as text to compare.</summary>
    public async Task<string> IndexesAsync()
    {
        List<string> lines = [];
        foreach (LanNode node in _members)
        {
            lines.AddRange((await Link.AllAsync(node.Namespace))
                .Where(l => l.Name == Bridge || l.Master == Bridge)
                .Select(l => $"{node.Name} {l.Name} {l.Index}"));
        }

        return string.Join('\n', lines.Order(StringComparer.Ordinal));
    }

    /// <summary>Takes out the guests, then deletes the network through the first member that runs.</summary>
    public async Task DeleteAsync()
    {
        foreach (Guest guest in _guests.ToArray())
        {
            await DetachAsync(guest);
        }

        (await _members[0].KctlAsync("delete", "network", Name)).OrThrow();
    }

    /// <summary>Removes what is left, without hiding the failure that ended the test early.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (LanNode node in _members)
        {
            KctlResult nics = await node.KctlAsync("get", "nics", "-o", "json");
            if (nics.ExitCode == 0)
            {
                foreach (NicInfo nic in nics.Read(ApiJson.Default.ImmutableArrayNicInfo).Where(n => n.Network == Name && n.Node == node.Name))
                {
                    await node.KctlAsync("detach", "nic", nic.Name, "--network", Name);
                }
            }
        }

        await _members[0].KctlAsync("delete", "network", Name);
    }

    private static string Show(FdbEntry e) => $"{e.Mac} dst {e.Destination}";

    private async Task<string?> MissingOnAsync(LanNode node)
    {
        IReadOnlyList<Link> links = await Link.AllAsync(node.Namespace);
        Link? bridge = links.FirstOrDefault(l => l.Name == Bridge);
        Link? tunnel = links.FirstOrDefault(l => l.Name == Vxlan);
        if (bridge is null || tunnel is null)
        {
            return $"devices are {string.Join(' ', links.Select(l => l.Name))}";
        }

        if (tunnel.Master != Bridge)
        {
            return $"{Vxlan} has master {tunnel.Master ?? "none"}";
        }

        IReadOnlyList<FdbEntry> fdb = await FdbEntry.OfAsync(node.Namespace, Vxlan);
        string[] peers = [.. _members.Where(m => m != node).Select(m => m.Address).Order(StringComparer.Ordinal)];
        string[] floods = [.. fdb.Where(e => e.IsFlood).Select(e => e.Destination).Order(StringComparer.Ordinal)];
        return peers.SequenceEqual(floods) ? null : $"flood entries go to [{string.Join(' ', floods)}], not to [{string.Join(' ', peers)}]";
    }
}
