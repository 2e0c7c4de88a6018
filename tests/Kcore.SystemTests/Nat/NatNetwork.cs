using System.Globalization;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.SystemTests.Nat;

/// <summary>A nat network of one node with its guests; gone with the test.</summary>
internal sealed class NatNetwork : IAsyncDisposable
{
    private readonly NodeLan _lan;
    private readonly LanNode _node;
    private readonly List<Guest> _guests = [];

    private NatNetwork(NodeLan lan, LanNode node, string name, string subnet)
    {
        _lan = lan;
        _node = node;
        Name = name;
        Subnet = subnet;
    }

    public string Name { get; }

    public string Subnet { get; }

    public string Gateway => Subnet + ".1";

    public static async Task<NatNetwork> CreateAsync(NodeLan lan, LanNode node, string name, string subnet, params IReadOnlyList<string> more)
    {
        NatNetwork network = new(lan, node, name, subnet);
        (await node.KctlAsync(["create", "network", name, "--gateway-ip", network.Gateway, "--target-node", node.Name, .. more, "--wait", "--timeout", "15s"])).OrThrow();
        return network;
    }

    public async Task<Guest> AttachAsync(string name, params IReadOnlyList<string> more)
    {
        Guest guest = await _lan.AttachAsync(_node, Name, name, more);
        _guests.Add(guest);
        return guest;
    }

    public async Task DetachAsync(Guest guest)
    {
        await _lan.DetachAsync(guest);
        _guests.Remove(guest);
    }

    /// <summary>A whole DHCP exchange on the guest's interface.</summary>
    public async Task<DhcpLease> AskAsync(Guest guest) =>
        await DhcpExchange.RunAsync(guest.Namespace, "eth0", TimeSpan.FromSeconds(10)) ?? throw new NotInTimeException($"Expected {guest.Name} to get an address by DHCP; nobody answered");

    public async Task<int> ServerAsync() => (await ServersAsync()) is [var only] ? only : throw new NotInTimeException($"Expected one dnsmasq for {Name}");

    /// <summary>Every dnsmasq of the node that serves this network, by its command line.</summary>
    public async Task<IReadOnlyList<int>> ServersAsync()
    {
        string pids = await Command.OutputAsync("ip", "netns", "pids", _node.Namespace);
        return
        [
            .. pids.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .Where(p => CommandLine(p).Contains($"/dhcp/{Name}.", StringComparison.Ordinal))
                .Select(p => int.Parse(p, CultureInfo.InvariantCulture)),
        ];
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Guest guest in _guests.ToArray())
        {
            await _node.KctlAsync("detach", "nic", guest.Name, "--network", Name);
            await _lan.RemoveGuestAsync(guest);
        }

        if ((await _node.KctlAsync("delete", "network", Name, "--target-node", _node.Name)).ExitCode != 0)
        {
            return;
        }

        // The next test compares the host with what it was: nothing of this network may go only then.
        await Until.SeenAsync(TimeSpan.FromSeconds(10), $"{Name} is gone from the kernel of {_node.Name}", async () =>
            (await Link.AllAsync(_node.Namespace)).Any(link => link.Name == $"kbr-{Name}") ? "its bridge is there"
            : (await _node.KctlAsync("plan")).ExitCode != 0 ? "the plan is not empty"
            : null);
    }

    private static string CommandLine(string pid)
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
}
