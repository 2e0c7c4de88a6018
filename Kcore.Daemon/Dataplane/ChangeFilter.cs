using System.Collections.Frozen;
using System.Net;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Dataplane;

/// <summary>Which kernel notifications can concern us. Pure.</summary>
/// <param name="OwnIndexes">Devices of ours, as last seen.</param>
/// <param name="Names">Names our devices have or should have.</param>
/// <param name="HasRefusals">Something foreign is in the way, so any device that changes may have been it.</param>
internal sealed record ChangeFilter(FrozenSet<int> OwnIndexes, FrozenSet<string> Names, bool HasRefusals)
{
    /// <summary>Ports behind which a physical network is: what their bridge learns there is not ours.</summary>
    public FrozenSet<int> Learning { get; init; } = [];

    /// <summary>What our addresses and their prefixes are destinations of.</summary>
    public FrozenSet<IPNetwork> Networks { get; init; } = [];

    public static ChangeFilter Everything { get; } = new([], [], HasRefusals: true);

    public bool Concerns(KernelChange change) => change switch
    {
        KernelChange.Link link =>
            HasRefusals || link.Info.Group == KcoreMark.LinkGroup || OwnIndexes.Contains(link.Info.Index) || Names.Contains(link.Info.Name),
        KernelChange.BridgePort port => OwnIndexes.Contains(port.LinkIndex) || Names.Contains(port.Name),
        KernelChange.Address address => OwnIndexes.Contains(address.Info.LinkIndex),
        // Of a host that talks BGP they come by thousands. One that takes the place of ours is told of as a new one.
        KernelChange.Route route => (route.Removed && route.Info.LinkIndex is { } index && OwnIndexes.Contains(index)) || Networks.Contains(route.Info.Destination),
        // ARP comes and goes with every guest's traffic; only what we set ourselves is permanent.
        KernelChange.Neighbour { Info: { Table: NeighbourTable.Fdb } learnt } when Learning.Contains(learnt.LinkIndex) => learnt.State.HasFlag(NeighbourState.NoArp),
        KernelChange.Neighbour neighbour => OwnIndexes.Contains(neighbour.Info.LinkIndex)
            && (neighbour.Info.Table == NeighbourTable.Fdb
                || neighbour.Info.Protocol == KcoreMark.Protocol
                || neighbour.Info.State.HasFlag(NeighbourState.Permanent)),
        KernelChange.Setting setting => setting.LinkIndex == -1 || OwnIndexes.Contains(setting.LinkIndex),
        _ => false,
    };
}
