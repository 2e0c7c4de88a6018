using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster.Members;
using Kcore.Gossip;

namespace Kcore.Daemon.Tests.Catalog;

/// <summary>Entries as origins write them, and what they mean together.</summary>
internal static class Said
{
    public static readonly NodeId A = new(0xA);
    public static readonly NodeId B = new(0xB);
    public static readonly NodeId C = new(0xC);

    public static NetworkSpec Overlay(string gateway = "10.88.0.1", int prefix = 24) => new()
    {
        Type = NetworkType.Vxlan,
        Gateway = IPAddress.Parse(gateway),
        PrefixLength = prefix,
        OutboundNat = true,
    };

    public static CatalogEntry Entry(NodeId origin, string key, FactKind kind, ReadOnlyMemory<byte> value, ulong version = 1) =>
        CatalogEntry.Create(origin, key, version, (ushort)kind, EntryFlags.None, value);

    public static CatalogEntry Node(NodeId node, string? name = null, string? vtep = null, bool disabled = false) => Entry(
        node,
        FactKeys.Node,
        FactKind.Node,
        FactCodec.Encode(new NodeFact(name ?? $"node-{(ulong)node.Value:x}", IPAddress.Parse(vtep ?? $"192.0.2.{(ulong)node.Value}"), disabled, "0.1.0", 1500, "eth0", false)));

    public static ClaimFact Created(NodeId by, string network, ulong counter, UInt128 uid, NetworkSpec? spec = null, ulong hash = 7)
    {
        var stamp = new ClaimStamp(counter, by, hash);
        return new ClaimFact(network, uid, stamp, stamp, spec ?? Overlay());
    }

    /// <summary>A nat network of one node, which anybody may have made.</summary>
    public static ClaimFact Local(NodeId by, string network, NodeId home, ulong counter, UInt128 uid, NetworkSpec? spec = null) =>
        Created(by, network, counter, uid, spec ?? Overlay("10.99.0.1") with { Type = NetworkType.Nat }) with { Home = home };

    public static ClaimFact Deleted(NodeId by, ClaimFact what, ulong counter) =>
        what with { Spec = null, Stamp = new ClaimStamp(counter, by, 7) };

    public static CatalogEntry Claim(ClaimFact claim, NodeId? origin = null) =>
        Entry(origin ?? claim.Stamp.Node, FactKeys.Claim(claim.Name, claim.Home), FactKind.Claim, FactCodec.Encode(claim));

    public static CatalogEntry Participation(NodeId node, UInt128 network, ObjectState state = ObjectState.Ready) =>
        Entry(node, FactKeys.Participation(network), FactKind.Participation, FactCodec.Encode(new ParticipationFact(network, state, null)));

    public static NicFact NicFact(UInt128 attachment, UInt128 network, string name, byte mac, string? address = null, ulong lease = 0) => new(
        attachment,
        network,
        name,
        Mac(mac),
        address is null ? null : IPAddress.Parse(address),
        lease,
        "tap-0b9d9f06",
        null,
        null,
        ObjectState.Ready,
        null);

    public static CatalogEntry Nic(NodeId node, NicFact fact) => Entry(node, FactKeys.Nic(fact.AttachmentId), FactKind.Nic, FactCodec.Encode(fact));

    public static CatalogEntry Pool(UInt128 network, string name, NodeId? origin = null) => Entry(
        origin ?? NodeId.Raft,
        FactKeys.Pool(network),
        FactKind.Pool,
        FactCodec.Encode(new PoolFact(network, name, 14458, IPAddress.Parse("10.88.0.2"), 253, 0, 253)));

    public static CatalogEntry Lease(UInt128 attachment, UInt128 network, string address, NodeId node, ulong index = 5, NodeId? origin = null) => Entry(
        origin ?? NodeId.Raft,
        FactKeys.Lease(attachment),
        FactKind.Lease,
        FactCodec.Encode(new LeaseFact(attachment, network, IPAddress.Parse(address), Mac(1), node, "web-01", index)));

    /// <summary>Of attachment 1, from A to B unless it is said otherwise.</summary>
    public static CatalogEntry Move(UInt128 move, UInt128 network, ulong begun, ulong handedOver = 0, bool sourceKnows = false, bool targetKnows = false, NodeId? from = null, NodeId? to = null) => Entry(
        NodeId.Raft,
        FactKeys.Move(move),
        FactKind.Move,
        FactCodec.Encode(new MoveFact(move, 1, network, "web-01", Mac(1), IPAddress.Parse("10.88.0.2"), from ?? A, to ?? B, begun, handedOver, sourceKnows, targetKnows)));

    public static CatalogEntry Removed(NodeId node, NodeId? origin = null) => Entry(
        origin ?? NodeId.Raft, FactKeys.Removal(node), FactKind.Removal, FactCodec.Encode(new RemovalFact(node, $"node-{(ulong)node.Value:x}")));

    public static PhysicalAddress Mac(byte last) => new([0x52, 0x54, 0, 0, 0, last]);

    public static Member Member(NodeId id, MemberStatus status = MemberStatus.Alive) => new()
    {
        Id = id,
        Epoch = 1,
        Status = status,
        BootNonce = 1,
        Endpoint = new IPEndPoint(IPAddress.Parse($"192.0.2.{(ulong)id.Value}"), 7946),
        RaftPort = 7947,
        Name = $"node-{(ulong)id.Value:x}",
    };

    /// <summary>What node A sees.</summary>
    public static CatalogSnapshot Snapshot(IEnumerable<CatalogEntry> entries, params Member[] members)
    {
        ImmutableArray<CatalogEntry> all = [.. entries];
        var gossip = new GossipView(new MembershipView(1, A, [.. members.OrderBy(m => m.Id)]), all, 1, 0);
        return new CatalogSnapshot(gossip, CatalogViewBuilder.Build(all));
    }

    /// <summary>A view as text, collections included: equal text is equal meaning.</summary>
    public static string Text(CatalogView view) => string.Join('\n',
    [
        .. view.Networks.Values.Select(n => $"network {n with { Losers = [] }} losers [{string.Join(';', n.Losers)}]"),
        .. view.LocalNetworks.Select(n => $"local {n with { Losers = [] }} losers [{string.Join(';', n.Losers)}]"),
        .. view.NetworksByUid.OrderBy(n => n.Key).Select(n => $"uid {n.Key} is {n.Value.Name}"),
        .. view.Verdicts.Select(v => $"verdict {v}"),
        .. view.Nodes.OrderBy(n => n.Key).Select(n => $"node {n.Key} {n.Value}"),
        .. view.Participants.OrderBy(p => p.Key).Select(p => $"participants {p.Key} {string.Join(';', p.Value)}"),
        .. view.Nics.Select(n => $"nic {n}"),
        .. view.Pools.Values.OrderBy(p => p.Network).Select(p => $"pool {p}"),
        .. view.Leases.Values.OrderBy(l => l.AttachmentId).Select(l => $"lease {l}"),
        .. view.Moves.Select(m => $"move {m}"),
        .. view.Arriving.OrderBy(a => a.Key).Select(a => $"arriving {a.Value}"),
        .. view.Removals.Values.OrderBy(r => r.Node).Select(r => $"removal {r}"),
        .. view.Admissions.Select(a => $"admission {a}"),
        $"voters {string.Join(';', view.Voters)} dissolved {view.Dissolved} counter {view.ClaimCounter}",
    ]);
}
