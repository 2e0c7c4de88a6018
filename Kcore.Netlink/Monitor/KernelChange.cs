using Kcore.Netlink.Route;

namespace Kcore.Netlink.Monitor;

/// <summary>
/// Something changed in the kernel, by whomever, ourselves included. A hint to look again, not the truth: state is read
/// with <see cref="RouteSocket"/>.
/// </summary>
public abstract record KernelChange
{
    private KernelChange()
    {
    }

    /// <summary>A link appeared, changed or went.</summary>
    public sealed record Link(LinkInfo Info, bool Removed) : KernelChange;

    /// <summary>A link's bridge port settings changed; removed means that it left its bridge.</summary>
    public sealed record BridgePort(int LinkIndex, string Name, bool Removed) : KernelChange;

    /// <summary>An address was set or went.</summary>
    public sealed record Address(AddressInfo Info, bool Removed) : KernelChange;

    /// <summary>An IPv4 route was set or went. Those that go because their device goes down are not told.</summary>
    public sealed record Route(RouteInfo Info, bool Removed) : KernelChange;

    /// <summary>A neighbour or forwarding entry was set, learned, aged or went.</summary>
    public sealed record Neighbour(NeighbourInfo Info, bool Removed) : KernelChange;

    /// <summary>An IPv4 setting changed: forwarding or the check of the way back; few others are told.</summary>
    /// <param name="LinkIndex">The link it belongs to; -1 for all (NETCONFA_IFINDEX_ALL), -2 for links to come.</param>
    public sealed record Setting(int LinkIndex) : KernelChange;

    /// <summary>Something inside an nftables table, or the table itself, was set or went.</summary>
    /// <param name="Family">NFPROTO_*: 1 inet, 2 ip, 3 arp, 5 netdev, 7 bridge, 10 ip6.</param>
    public sealed record Nftables(byte Family, string Table, NftablesObject What, bool Removed) : KernelChange;

    /// <summary>A transaction of nftables was committed, and by whom.</summary>
    public sealed record NftablesCommit(uint Generation, int ProcessId, string ProcessName) : KernelChange;

    /// <summary>Notifications were lost or not understood: everything may have changed.</summary>
    public sealed record Resync(string Reason) : KernelChange;
}

/// <summary>Kinds of objects in an nftables ruleset.</summary>
public enum NftablesObject
{
    Table,
    Chain,
    Rule,
    Set,
    SetElement,

    /// <summary>Counters, quotas, flow tables and other named objects.</summary>
    Other,
}
