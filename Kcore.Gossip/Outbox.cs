using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>Packs frames into datagrams and addresses them.</summary>
internal sealed class Outbox(Turn turn, MemberTable members, CatalogState catalog)
{
    /// <summary>What this node's state is, and how much of the peer's own origin it holds.</summary>
    public StateDigest DigestFor(NodeId? peer)
    {
        OriginState? theirs = peer is { } id ? catalog.Find(id) : null;
        return theirs is null ? new StateDigest(catalog.Root, members.Root, 0, 0)
            : theirs.HeardEpoch > theirs.Epoch ? new StateDigest(catalog.Root, members.Root, theirs.HeardEpoch, 0)
            : new StateDigest(catalog.Root, members.Root, theirs.Epoch, theirs.Version);
    }

    public void Send(NodeId? to, IPEndPoint endpoint, byte[] frame) =>
        turn.Emit(new GossipEffect.Send(to, endpoint, frame));

    public void Send(NodeId? to, IPEndPoint endpoint, IReadOnlyList<byte[]> frames)
    {
        if (frames.Count == 1)
        {
            // Most datagrams are one frame, which then needs no copy.
            Send(to, endpoint, frames[0]);
            return;
        }

        foreach (byte[] packet in Packets.Pack(frames, WireLimits.PayloadBytes))
        {
            Send(to, endpoint, packet);
        }
    }

    public void SendTo(NodeId member, byte[] frame)
    {
        if (members.Find(member) is { } record)
        {
            Send(member, record.Endpoint, frame);
        }
    }

    public void SendTo(NodeId member, IReadOnlyList<byte[]> frames)
    {
        if (members.Find(member) is { } record)
        {
            Send(member, record.Endpoint, frames);
        }
    }

    /// <summary>
    /// Asks a member for a sign of life. While nobody is known to know us, one that never spoke to us is told who asks; one that is talked of badly is told
    /// what is said, so that it can refute (Lifeguard's buddy system).
    /// </summary>
    public void Ping(NodeId target, ulong sequence)
    {
        if (members.Slot(target) is not { } slot)
        {
            return;
        }

        byte[] ping = Frames.Ping(sequence, target, DigestFor(target));
        bool isKnown = slot.HasSpoken || members.IsSelfKnown;
        if (isKnown && slot.Record.Status == MemberStatus.Alive)
        {
            Send(target, slot.Record.Endpoint, ping);
            return;
        }

        List<byte[]> frames = isKnown ? [] : [Frames.Member(members.Self, null)];
        if (slot.Record.Status != MemberStatus.Alive)
        {
            frames.Add(Frames.Member(slot.Record, null));
        }

        frames.Add(ping);
        Send(target, slot.Record.Endpoint, frames);
    }

    /// <summary>Introduces this node at an address whose owner is not known.</summary>
    public void Greet(IPEndPoint endpoint) =>
        Send(null, endpoint, [Frames.Member(members.Self, null), Frames.Ping(turn.NextSequence(), null, DigestFor(null))]);
}
