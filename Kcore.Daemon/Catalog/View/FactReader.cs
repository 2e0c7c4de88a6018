using Kcore.Daemon.Catalog.Facts;
using Kcore.Gossip;

namespace Kcore.Daemon.Catalog.View;

/// <summary>What an entry says, and whether it may.</summary>
internal static class FactReader
{
    /// <summary>
    /// The fact, or null where it does not count. What Raft commits counts only from the Raft origin, what a node states
    /// only from the node, and each only under its own key: the same fact said twice by one origin would make the order
    /// of entries matter. A kind or a layout of a newer version is kept and relayed by the core, and has no meaning here.
    /// </summary>
    public static object? Read(CatalogEntry entry) => ((FactKind)entry.Kind, entry.Origin == NodeId.Raft) switch
    {
        (FactKind.Node, false) when FactCodec.TryDecode(entry, out NodeFact? fact) && entry.Key == FactKeys.Node => fact,
        (FactKind.Participation, false) when FactCodec.TryDecode(entry, out ParticipationFact? fact) && entry.Key == FactKeys.Participation(fact.Network) => fact,
        (FactKind.Nic, false) when FactCodec.TryDecode(entry, out NicFact? fact) && entry.Key == FactKeys.Nic(fact.AttachmentId) => fact,
        (FactKind.Claim, false) when FactCodec.TryDecode(entry, out ClaimFact? fact)
            && entry.Key == FactKeys.Claim(fact.Name, fact.Home) && fact.Stamp.Node == entry.Origin => fact,
        (FactKind.Pool, true) when FactCodec.TryDecode(entry, out PoolFact? fact) && entry.Key == FactKeys.Pool(fact.Network) => fact,
        (FactKind.Lease, true) when FactCodec.TryDecode(entry, out LeaseFact? fact) && entry.Key == FactKeys.Lease(fact.AttachmentId) => fact,
        (FactKind.Parked, true) when FactCodec.TryDecode(entry, out ParkedFact? fact) && entry.Key == FactKeys.Parked(fact.Network, fact.Address) => fact,
        (FactKind.Move, true) when FactCodec.TryDecode(entry, out MoveFact? fact) && entry.Key == FactKeys.Move(fact.Move) => fact,
        (FactKind.Mesh, true) when FactCodec.TryDecode(entry, out MeshFact? fact) && entry.Key == FactKeys.Mesh(fact.Node) => fact,
        (FactKind.Admission, true) when FactCodec.TryDecode(entry, out AdmissionFact? fact) && entry.Key == FactKeys.Admission(fact.Node) => fact,
        (FactKind.Removal, true) when FactCodec.TryDecode(entry, out RemovalFact? fact) && entry.Key == FactKeys.Removal(fact.Node) => fact,
        (FactKind.Dissolved, true) when FactCodec.TryDecode(entry, out DissolvedFact? fact) && entry.Key == FactKeys.Dissolved => fact,
        _ => null,
    };
}
