using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Kcore.Contracts;
using Kcore.TestKit.Processes;

namespace Kcore.TestKit.Lan;

/// <summary>
/// A small LAN on this machine: a switch (one namespace with a bridge and an address outside of every overlay) and
/// nodes on it, 10.77.0.1, .2, … with MTU 1500 and a default route through the switch. Everything carries a random name part,
/// so that runs never meet, and goes away with <see cref="DisposeAsync"/>. What a killed run leaves behind `./dev test` takes
/// away: the file <c>owner</c> of a LAN's directory names the process that made it.
/// </summary>
public sealed class NodeLan : IAsyncDisposable
{
    /// <summary>An address beyond the LAN that answers: it lies on the switch.</summary>
    public const string Outside = "198.51.100.1";

    /// <summary>Also an address of the first node, because the documented example names it as external address.</summary>
    public const string ExampleExternal = "192.168.40.105";

    // Learners vote after five steady seconds; what every node then states of itself is looked at once a second and told.
    private static readonly TimeSpan SettlesWithin = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan Still = TimeSpan.FromSeconds(3);

    private readonly string _id;
    private readonly List<string> _namespaces = [];
    private readonly List<LanNode> _nodes = [];
    private readonly string _directory;

    private NodeLan(string id)
    {
        _id = id;
        _directory = Path.Combine(Path.GetTempPath(), $"kcore-lan-{id}");
    }

    public IReadOnlyList<LanNode> Nodes => _nodes;

    public string Switch => $"kl{_id}-sw";

    /// <summary>For files of a test; removed with the LAN.</summary>
    public string Directory => _directory;

    private string KeyPath => Path.Combine(_directory, "cluster.key");

    public static async Task<NodeLan> CreateAsync(int nodes)
    {
        NodeLan lan = new(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(3)));
        try
        {
            System.IO.Directory.CreateDirectory(lan._directory);
            await File.WriteAllTextAsync(Path.Combine(lan._directory, "owner"), string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId}\n"));
            await File.WriteAllTextAsync(lan.KeyPath, Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)) + "\n");
            File.SetUnixFileMode(lan.KeyPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            await lan.AddSwitchAsync();
            for (int i = 1; i <= nodes; i++)
            {
                await lan.AddNodeAsync(i);
            }

            return lan;
        }
        catch
        {
            await lan.DisposeAsync();
            throw;
        }
    }

    /// <summary>A bare host on the switch, with no daemon.</summary>
    /// <returns>Its namespace.</returns>
    public async Task<string> AddHostAsync(string name, int number)
    {
        string netns = await AddNamespaceAsync(name);
        string port = $"p{number}";
        await IpAsync(Switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", netns);
        await IpAsync(Switch, "link", "set", port, "master", "lan", "up");
        await IpAsync(netns, "link", "set", "eth0", "mtu", "1500", "up");
        await IpAsync(netns, "addr", "add", $"10.77.0.{number}/24", "dev", "eth0");
        await IpAsync(netns, "route", "add", "default", "via", "10.77.0.254");
        return netns;
    }

    /// <summary>Makes a namespace and lets the node attach it to the network.</summary>
    public async Task<Guest> AttachAsync(LanNode node, string network, string name, params IReadOnlyList<string> more)
    {
        string netns = await AddNamespaceAsync(name);
        KctlResult result = await node.KctlAsync(
            ["attach", "nic", name, "--network", network, "--netns", netns, .. more, "-o", "json"]);
        return new Guest(name, netns, node, result.OrThrow().Read(ApiJson.Default.NicInfo));
    }

    /// <summary>
    /// Where a guest comes to when it moves: a new namespace. The guest is not there before its NIC is; the answer to the question, whatever
    /// it is, comes with it.
    /// </summary>
    /// <param name="asked">Any node.</param>
    /// <param name="guest">Which.</param>
    /// <param name="to">The node it goes to.</param>
    /// <param name="more">Further words for <c>kctl move nic</c>.</param>
    public async Task<Guest> MoveAsync(LanNode asked, Guest guest, LanNode to, params IReadOnlyList<string> more)
    {
        string netns = await AddNamespaceAsync($"{guest.Name}-{to.Name}");
        KctlResult result = await asked.KctlAsync(
            ["move", "nic", guest.Name, "--network", guest.Nic.Network, "--to", to.Name, "--netns", netns, .. more, "-o", "json"]);
        return new Guest(guest.Name, netns, to, result.OrThrow().Read(ApiJson.Default.MovedNic).Nic);
    }

    /// <summary>Detaches the guest and removes its namespace.</summary>
    public async Task DetachAsync(Guest guest)
    {
        (await guest.Node.KctlAsync("detach", "nic", guest.Name, "--network", guest.Nic.Network)).OrThrow();
        await RemoveNamespaceAsync(guest.Namespace);
    }

    /// <summary>Removes the guest's namespace, whatever became of its NIC.</summary>
    public Task RemoveGuestAsync(Guest guest) => RemoveNamespaceAsync(guest.Namespace);

    /// <summary>A second network card of a node, on the switch like the first, without an address.</summary>
    public async Task AddCardAsync(LanNode node, string name)
    {
        string port = $"{name}p{node.Address.Split('.')[^1]}";
        await IpAsync(Switch, "link", "add", port, "type", "veth", "peer", "name", name, "netns", node.Namespace);
        await IpAsync(Switch, "link", "set", port, "master", "lan", "up");
    }

    /// <summary>Waits until all given daemons are one cluster, see each other alive and hold the same catalog.</summary>
    public static Task<TimeSpan> OneClusterAsync(IReadOnlyList<LanNode> nodes, TimeSpan within) => Until.SeenAsync(
        within,
        $"{nodes.Count} nodes form one cluster, all alive, with one digest",
        async () =>
        {
            List<string> seen = [];
            foreach (LanNode node in nodes)
            {
                if (!node.IsRunning)
                {
                    throw new InvalidOperationException($"The daemon of {node.Name} has ended. Its last words:\n{node.LogTail(40)}");
                }

                StatusReport s = await node.StatusAsync();
                string alive = string.Join(',', s.Members.Where(m => m.Status == "alive").Select(m => m.Name).Order(StringComparer.Ordinal));
                seen.Add($"phase {s.Phase} cluster {s.ClusterId} digest {s.Digest} alive {alive} quorum {s.Consensus.Quorum}");
            }

            string all = string.Join(',', nodes.Select(n => n.Name).Order(StringComparer.Ordinal));
            bool one = seen.Distinct(StringComparer.Ordinal).Count() == 1
                && seen[0].StartsWith("phase member ", StringComparison.Ordinal)
                && seen[0].EndsWith($" alive {all} quorum True", StringComparison.Ordinal);
            return one ? null : string.Join('\n', nodes.Zip(seen, (n, s) => $"{n.Name}: {s}"));
        });

    /// <summary>
    /// Waits until one cluster has nothing left to do with itself: as many voters as its size asks for, every node says
    /// so, and no digest has moved for a while. Only then does a digest say something about what a test did.
    /// </summary>
    /// <returns>The digest all of them show.</returns>
    public static async Task<string> SettledAsync(IReadOnlyList<LanNode> nodes)
    {
        int voters = nodes.Count switch { >= 5 => 5, >= 3 => 3, _ => 1 };
        string last = "";
        long since = Stopwatch.GetTimestamp();
        await Until.SeenAsync(SettlesWithin, $"{nodes.Count} nodes with {voters} voters whose digest stays", async () =>
        {
            ClusterReport log = await nodes[0].ClusterAsync();
            string[] digests = [.. (await Task.WhenAll(nodes.Select(n => n.StatusAsync()))).Select(s => s.Digest).Distinct(StringComparer.Ordinal)];
            if (log is not { Source: "leader", Changing: false } || log.Voters.Length != voters || log.Voters.Any(v => v.State != "ok")
                || digests.Length != 1 || digests[0] != last)
            {
                since = Stopwatch.GetTimestamp();
                last = digests[0];
            }

            return Stopwatch.GetElapsedTime(since) >= Still
                ? null
                : $"{log.Voters.Length} voters told by {log.Source}, digests {string.Join(' ', digests)} for {Stopwatch.GetElapsedTime(since).TotalSeconds:0.0} s";
        });
        return last;
    }

    /// <summary>The node can neither send to nor receive from the others.</summary>
    public Task PartitionAsync(LanNode node) => FaultAsync($"iifname {Port(node)} drop", $"oifname {Port(node)} drop");

    /// <summary>The node can send to the others but hears nothing of them.</summary>
    public Task DeafenAsync(LanNode node) => FaultAsync($"oifname {Port(node)} drop");

    /// <summary>The node hears the others but none of them hears it.</summary>
    public Task MuteAsync(LanNode node) => FaultAsync($"iifname {Port(node)} drop");

    /// <summary>No frame crosses between the two groups.</summary>
    public Task SplitAsync(IReadOnlyList<LanNode> left, IReadOnlyList<LanNode> right) => FaultAsync(
        $"iifname {Ports(left)} oifname {Ports(right)} drop", $"iifname {Ports(right)} oifname {Ports(left)} drop");

    /// <summary>Drops gossip datagrams the nodes send; their streams and what they receive goes on.</summary>
    /// <param name="largerThan">Only frames of more bytes than this.</param>
    public Task DropDatagramsFromAsync(IReadOnlyList<LanNode> senders, int largerThan = 0) => FaultAsync(string.Create(
        CultureInfo.InvariantCulture, $"iifname {Ports(senders)} udp dport 7946 meta length > {largerThan} counter drop"));

    /// <summary>How many frames <see cref="DropDatagramsFromAsync"/> has dropped so far.</summary>
    public async Task<long> DroppedAsync()
    {
        string table = (await Command.RunAsync("ip", ["netns", "exec", Switch, "nft", "-j", "list", "table", "bridge", "fault"])).OrThrow().Stdout;
        return JsonNode.Parse(table)!["nftables"]!.AsArray()
            .SelectMany(o => o!["rule"]?["expr"]?.AsArray() ?? [])
            .Sum(e => (long?)e!["counter"]?["packets"] ?? 0);
    }

    /// <summary>Drops that share of all frames the switch forwards.</summary>
    public Task LosePacketsAsync(int percent) => FaultAsync(
        string.Create(CultureInfo.InvariantCulture, $"numgen random mod 100 < {percent} drop"));

    public Task HealAsync() => NftAsync("add table bridge fault\ndelete table bridge fault\n");

    public async ValueTask DisposeAsync()
    {
        foreach (LanNode node in _nodes)
        {
            await node.DisposeAsync();
        }

        foreach (string netns in _namespaces.AsEnumerable().Reverse().ToArray())
        {
            await RemoveNamespaceAsync(netns);
        }

        if (System.IO.Directory.Exists(_directory))
        {
            System.IO.Directory.Delete(_directory, recursive: true);
        }
    }

    private static string Ports(IReadOnlyList<LanNode> nodes) => $"{{ {string.Join(", ", nodes.Select(Port))} }}";

    private static string Port(LanNode node) => "p" + node.Address.Split('.')[^1];

    private static Task IpAsync(string netns, params IReadOnlyList<string> arguments) =>
        Command.OutputAsync("ip", ["-n", netns, .. arguments]);

    private Task FaultAsync(params IReadOnlyList<string> rules) => NftAsync(
        $$"""
        add table bridge fault
        delete table bridge fault
        table bridge fault {
          chain forward {
            type filter hook forward priority 0
            {{string.Join("\n    ", rules)}}
          }
        }

        """);

    private async Task NftAsync(string commands) =>
        (await Command.RunAsync("ip", ["netns", "exec", Switch, "nft", "-f", "-"], input: commands)).OrThrow();

    private async Task AddSwitchAsync()
    {
        await AddNamespaceAsync("sw");
        // Snooping without a querier may lose multicast, which real switches of a small LAN do not.
        // A bridge without an address of its own takes that of its lowest port: a host that comes or goes would change
        // it under the neighbours, who then could not reach the outside for half a minute.
        await IpAsync(Switch, "link", "add", "lan", "address", "02:6c:61:6e:00:01", "type", "bridge", "mcast_snooping", "0");
        await IpAsync(Switch, "link", "set", "lan", "up");
        await IpAsync(Switch, "addr", "add", "10.77.0.254/24", "dev", "lan");
        await IpAsync(Switch, "addr", "add", Outside + "/32", "dev", "lo");
        // A source from inside an overlay must be seen here, not filtered for having no route back.
        Netns.Sysctl(Switch, "net/ipv4/conf/all/rp_filter", "0");
        Netns.Sysctl(Switch, "net/ipv4/conf/lan/rp_filter", "0");
    }

    private async Task AddNodeAsync(int number)
    {
        string name = number <= 26 ? $"node-{(char)('a' + number - 1)}" : string.Create(CultureInfo.InvariantCulture, $"node-{number}");
        string netns = await AddHostAsync(name, number);
        if (number == 1)
        {
            await IpAsync(netns, "addr", "add", ExampleExternal + "/32", "dev", "lo");
        }

        string directory = Path.Combine(_directory, name);
        System.IO.Directory.CreateDirectory(directory);
        _nodes.Add(new LanNode(name, netns, $"10.77.0.{number}", directory, KeyPath));
    }

    private async Task<string> AddNamespaceAsync(string name)
    {
        string netns = $"kl{_id}-{name}";
        _namespaces.Add(netns);
        await Netns.AddAsync(netns);
        return netns;
    }

    private async Task RemoveNamespaceAsync(string netns)
    {
        await Netns.DeleteAsync(netns);
        _namespaces.Remove(netns);
    }
}
