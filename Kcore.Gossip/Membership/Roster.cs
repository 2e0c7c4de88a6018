using System.Buffers.Binary;
using System.Net;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// Merges statements about members: the larger one wins, only the subject raises its epoch and incarnation. What follows
/// from a change is for the listener.
/// </summary>
internal sealed class Roster(Turn turn, MemberTable members, Disseminator rumors, LocalHealth health, IMemberListener listener)
{
    private readonly Dictionary<NodeId, uint> _forgotten = [];
    private readonly HashSet<ulong> _clones = [];

    /// <summary>Statements of other lives of this node that had to be overtaken, by boot nonce.</summary>
    private readonly Dictionary<ulong, int> _overtaken = [];

    /// <summary>Foreign lives that are told apart; beyond it they are no longer reported.</summary>
    private const int MaxLives = 64;

    /// <summary>
    /// A life that is over says nothing new: peers that were apart may show a few of its statements one after the other.
    /// One that answers every time we overtake it is going on, elsewhere.
    /// </summary>
    private const int OvertakesMax = 3;

    /// <summary>Another node runs with this node's id and is the one to be heard.</summary>
    public bool HasYielded { get; private set; }

    /// <summary>Whether a removal hides this node altogether.</summary>
    public bool IsForgotten(NodeId id) => _forgotten.ContainsKey(id) && members.Find(id) is null;

    /// <summary>Whether a removal hides a statement of this epoch.</summary>
    public bool IsForgotten(NodeId id, uint epoch) => _forgotten.TryGetValue(id, out uint until) && epoch <= until;

    /// <summary>Takes a statement that <paramref name="from"/> has sent.</summary>
    public void Merge(Member incoming, Accusation? accusation, NodeId from, IPEndPoint? source)
    {
        if (incoming.Id == members.Self.Id)
        {
            MergeSelf(incoming, source);
            return;
        }

        if (IsForgotten(incoming.Id, incoming.Epoch))
        {
            return;
        }

        Member? before = members.Find(incoming.Id);
        int order = before is null ? 1 : incoming.CompareStatement(before);
        if (order > 0)
        {
            if (before is not null || members.Total < WireLimits.Members)
            {
                Take(before, incoming, accusation, from, isNews: before is not null || source is not null);
            }

            return;
        }

        if (order == 0 && accusation is not null)
        {
            listener.Repeated(before!, accusation);
        }

        if (before!.Epoch == incoming.Epoch && before.BootNonce != incoming.BootNonce)
        {
            ReportClone(incoming.Id, incoming.Endpoint, incoming.BootNonce);
        }
    }

    /// <summary>What to answer to one who states something of this node that is no longer so; null when there is nothing.</summary>
    public Member? Refutation(Member stated) =>
        stated.Id == members.Self.Id && !HasYielded && stated.CompareStatement(members.Self) < 0 ? members.Self : null;

    /// <summary>States what this node has found out about another.</summary>
    public void Declare(Member before, MemberStatus status, Accusation accusation) =>
        Take(before, before with { Status = status }, accusation, from: null, isNews: true);

    /// <summary>Says something new about this node to everybody at once.</summary>
    public void Restate(Member self)
    {
        Member before = members.Self;
        members.Set(self);
        turn.NoteChange();
        rumors.TellMember(self.Id, source: null, accusation: null);
        turn.Emit(new GossipEffect.MemberChanged(before, self, null));
    }

    /// <summary>Hides a node up to an epoch. False when there is nothing of it to remove, or something later.</summary>
    public bool Forget(NodeId id, uint epoch)
    {
        _forgotten[id] = Math.Max(epoch, _forgotten.GetValueOrDefault(id));
        Member? member = members.Find(id);
        if (id == members.Self.Id || member?.Epoch > epoch)
        {
            return false;
        }

        if (member is not null)
        {
            members.Remove(id);
            turn.NoteChange();
            rumors.DropMember(id);
            turn.Emit(new GossipEffect.MemberForgotten(member));
            listener.Forgotten(member);
        }

        return true;
    }

    /// <summary>
    /// Ids in datagrams are authenticated, so one with our own is either our own echo (a seed that is ourselves) or a
    /// node with a copied disk. True for the echo.
    /// </summary>
    /// <exception cref="WireFormatException">It is no frame of a member.</exception>
    public bool OnOwnId(ReadOnlySpan<byte> payload, IPEndPoint source)
    {
        if (payload.Length < Frames.HeaderBytes || payload[0] != (byte)FrameType.Member
            || BinaryPrimitives.ReadUInt16BigEndian(payload[1..]) > payload.Length - Frames.HeaderBytes)
        {
            return false;
        }

        var reader = new MessagePackReader(payload[Frames.HeaderBytes..]);
        reader.BeginArray(2);
        Member member = MemberCodec.Read(ref reader);
        if (member.Id != members.Self.Id)
        {
            // A ping for a suspect tells first what is said of it; only a record of ours says anything about us.
            return false;
        }

        if (member.BootNonce == members.Self.BootNonce)
        {
            return true;
        }

        ReportClone(members.Self.Id, source, member.BootNonce);
        return false;
    }

    private void Take(Member? before, Member after, Accusation? accusation, NodeId? from, bool isNews)
    {
        members.Set(after);
        turn.NoteChange();
        if (isNews)
        {
            // Whom a stream's list names first is new to this node, hardly to others: a newcomer would tell all of all.
            rumors.TellMember(after.Id, from, accusation);
        }

        turn.Emit(new GossipEffect.MemberChanged(before, after, accusation?.Accuser));
        WarnOfSameName(before, after);
        listener.Changed(before, after, accusation);
    }

    private void MergeSelf(Member incoming, IPEndPoint? source)
    {
        Member self = members.Self;
        if (incoming.BootNonce != self.BootNonce || incoming.Epoch > self.Epoch)
        {
            Overtake(incoming, source ?? incoming.Endpoint);
        }
        else if (incoming.CompareStatement(self) > 0 && incoming.Incarnation < uint.MaxValue)
        {
            health.Worsen();
            Restate(self with { Incarnation = incoming.Incarnation + 1 });
        }
    }

    /// <summary>
    /// Peers hold a statement of another life of this node. Either its disk was restored from an older copy, and a later
    /// epoch of ours ends the matter; or a copy of the disk is running somewhere. Then the larger boot nonce yields and
    /// the other is heard: both restating for ever would be an epoch war.
    /// </summary>
    private void Overtake(Member incoming, IPEndPoint source)
    {
        Member self = members.Self;
        if (incoming.Epoch < self.Epoch || incoming.Epoch == uint.MaxValue || HasYielded)
        {
            return;
        }

        int times = _overtaken.GetValueOrDefault(incoming.BootNonce) + 1;
        if (times == 1 && _overtaken.Count >= MaxLives)
        {
            return;
        }

        _overtaken[incoming.BootNonce] = times;
        if (times > OvertakesMax)
        {
            ReportClone(self.Id, source, incoming.BootNonce);
            if (self.BootNonce > incoming.BootNonce)
            {
                HasYielded = true;
                listener.Yielded();
                turn.Emit(new GossipEffect.Yielded());
                return;
            }

            if (times > 2 * OvertakesMax)
            {
                // It does not yield though it should; what is said of us alternates until somebody ends one of the two.
                return;
            }
        }

        turn.Emit(new GossipEffect.PersistEpoch(incoming.Epoch + 1));
        Restate(self with { Epoch = incoming.Epoch + 1, Incarnation = 0 });
    }

    private void ReportClone(NodeId id, IPEndPoint endpoint, ulong bootNonce)
    {
        if (_clones.Count < MaxLives && _clones.Add(bootNonce))
        {
            turn.Emit(new GossipEffect.CloneDetected(id, endpoint, bootNonce));
        }
    }

    private void WarnOfSameName(Member? before, Member after)
    {
        if (after.Status != MemberStatus.Alive || after.Name == before?.Name)
        {
            return;
        }

        // Asked after the record was taken: of several the first to be known has the name.
        if (members.HolderOf(after.Name) is { } holder && holder != after.Id)
        {
            turn.Emit(new GossipEffect.NameConflict(after.Name, holder, after.Id));
        }
    }
}
