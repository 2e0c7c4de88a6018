using System.Collections.Immutable;
using System.Net;

namespace Kcore.Gossip;

/// <summary>What the shell has to do, in the order given.</summary>
public abstract record GossipEffect
{
    private GossipEffect()
    {
    }

    /// <summary>
    /// Catalog rows to store. With <paramref name="Durable"/> they are the node's own and must be on disk before any
    /// later effect runs: a version that peers have seen must never be given out twice. The rest may be written behind.
    /// </summary>
    public sealed record Persist(
        bool Durable,
        ImmutableArray<OriginHead> Heads,
        ImmutableArray<CatalogEntry> Entries,
        ImmutableArray<EntryKey> Removed,
        ImmutableArray<NodeId> RemovedOrigins) : GossipEffect;

    /// <summary>Members whose addresses are worth a <see cref="GossipInput.Contact"/> at the next start. Replaces what was remembered.</summary>
    public sealed record RememberMembers(ImmutableArray<Member> Members) : GossipEffect;

    /// <summary>
    /// Peers know a later start of this node than it remembers (its disk was restored). The new boot counter must be on
    /// disk before any later effect runs.
    /// </summary>
    public sealed record PersistEpoch(uint Epoch) : GossipEffect;

    /// <summary>One datagram, at most 1,200 bytes. <paramref name="To"/> is null for an address whose owner is not known yet.</summary>
    public sealed record Send(NodeId? To, IPEndPoint Endpoint, ReadOnlyMemory<byte> Payload) : GossipEffect;

    /// <summary>
    /// Open a TLS stream to the member, send the body, hand every piece of the answer back. The stream number is chosen
    /// by the core and is separate from those of <see cref="GossipInput.StreamRequest"/>, which the shell chooses.
    /// </summary>
    public sealed record OpenStream(long Stream, NodeId To, IPEndPoint Endpoint, ReadOnlyMemory<byte> Body) : GossipEffect;

    /// <summary>
    /// A piece of the answer to a <see cref="GossipInput.StreamRequest"/>. After each but the last the core waits for
    /// <see cref="GossipInput.StreamWritable"/>; two may be under way at once.
    /// </summary>
    public sealed record Respond(long Stream, ReadOnlyMemory<byte> Body, bool Last) : GossipEffect;

    /// <summary>A member appeared or changed. <paramref name="Accuser"/> is who suspected it or declared it dead, where known.</summary>
    public sealed record MemberChanged(Member? Before, Member After, NodeId? Accuser) : GossipEffect;

    /// <summary>A removed member is gone from the view.</summary>
    public sealed record MemberForgotten(Member Member) : GossipEffect;

    /// <summary>Facts that became visible or changed, tombstones included.</summary>
    public sealed record CatalogChanged(ImmutableArray<CatalogEntry> Changed) : GossipEffect;

    /// <summary>An origin was replaced as a whole: read it again.</summary>
    public sealed record CatalogResync(NodeId Origin) : GossipEffect;

    /// <summary>A peer holds another catalog than we do, for longer than it takes a rumor to arrive.</summary>
    public sealed record DigestDiverged(NodeId Peer) : GossipEffect;

    /// <summary>A peer that differed holds the same catalog again.</summary>
    public sealed record DigestAgreed(NodeId Peer) : GossipEffect;

    /// <summary>The same versions of one origin with different contents: a bug or a damaged store; repaired by its owner.</summary>
    public sealed record ContentDiverged(NodeId Peer, NodeId Origin) : GossipEffect;

    /// <summary>Two active members have one name.</summary>
    public sealed record NameConflict(string Name, NodeId First, NodeId Second) : GossipEffect;

    /// <summary>Somebody else runs with our id: a copied disk. The one with the larger boot nonce should take a new id.</summary>
    public sealed record CloneDetected(NodeId Id, IPEndPoint Other, ulong OtherBootNonce) : GossipEffect;

    /// <summary>
    /// This node says nothing more of itself: another life of it, with a smaller boot nonce, goes on overtaking it. Whoever
    /// knows better which of the two it is starts it again.
    /// </summary>
    public sealed record Yielded : GossipEffect;

    /// <summary>Whether this node hears from nobody although it should; it buries nobody meanwhile.</summary>
    public sealed record Isolated(bool IsIsolated) : GossipEffect;
}

/// <summary>Names one row of the catalog.</summary>
public readonly record struct EntryKey(NodeId Origin, string Key);
