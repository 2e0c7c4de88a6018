using System.Buffers.Binary;
using Kcore.Raft;

namespace Kcore.Simulation.Raft;

/// <summary>A safety property of Raft does not hold; the message names it.</summary>
public sealed class InvariantException(string message) : Exception(message);

/// <summary>
/// A whole Raft group in one thread: real cores, simulated disks and network, every choice from one seed. After every
/// event the safety properties are checked.
/// </summary>
internal sealed class SimulatedGroup
{
    private const int InFlightMax = 400;

    private readonly Random _random;
    private readonly Mutation _mutation;
    private readonly Member[] _members;
    private readonly List<RaftMessage> _inFlight = [];
    private readonly SafetyRecord _safety;
    private int[] _side;
    private uint _proposals;

    public SimulatedGroup(int seed, int size, Mutation mutation = Mutation.None)
    {
        _random = new Random(seed);
        _mutation = mutation;
        Configuration configuration = Configuration.Of(Enumerable.Range(1, size).Select(Id));
        _members = [.. Enumerable.Range(1, size).Select(number => new Member(Id(number), new SimulatedDisk(configuration)))];
        _side = new int[size];
        _safety = new SafetyRecord(size);
        foreach (Member member in _members)
        {
            Boot(member);
        }
    }

    public ulong Committed => _safety.CommittedMax;

    public int Leaders => _safety.LeaderCount;

    /// <summary>Lets things go wrong for a while.</summary>
    public void Run(int events)
    {
        for (int i = 0; i < events; i++)
        {
            Happen(_random.Next(1000));
        }
    }

    /// <summary>Faults end: every member must come to apply the same log, with a new proposal in it, within the bound.</summary>
    public void Heal(int roundsMax)
    {
        _side = new int[_members.Length];
        foreach (Member member in _members.Where(member => member.Node is null))
        {
            Boot(member);
        }

        ulong target = 0;
        for (int round = 0; round < roundsMax; round++)
        {
            foreach (Member member in _members)
            {
                member.Node!.Tick();
                Settle(member);
                FinishWrites(member);
            }

            while (_inFlight.Count > 0)
            {
                RaftMessage message = _inFlight[0];
                _inFlight.RemoveAt(0);
                Deliver(message);
                foreach (Member member in _members)
                {
                    FinishWrites(member);
                }
            }

            if (target == 0 && _members.FirstOrDefault(member => member.Node!.Role == RaftRole.Leader) is { } leader)
            {
                leader.Node!.Propose(Payload(), out target);
                Settle(leader);
                FinishWrites(leader);
            }

            if (target > 0 && _members.All(member => member.Applied >= target))
            {
                return;
            }
        }

        throw new InvariantException($"Liveness: not everybody applied entry {target} within {roundsMax} rounds of calm.");
    }

    private static MemberId Id(int number) => new(new Guid(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), new Guid(number, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1));

    private void Happen(int dice)
    {
        Member member = _members[_random.Next(_members.Length)];
        switch (dice)
        {
            case < 4:
                Crash(member);
                break;
            case < 20 when member.Node is null:
                Boot(member);
                break;
            case >= 20 and < 24:
                _side = [.. _members.Select(_ => _random.Next(3) == 0 ? 1 : 0)];
                break;
            case >= 24 and < 34:
                _side = new int[_members.Length];
                break;
            case < 44 when member.Node is not null && member.Applied > member.Node.Snapshot.Index:
                TakeSnapshot(member);
                break;
            case < 120 when member.Node is { Role: RaftRole.Leader }:
                member.Node.Propose(Payload(), out _);
                Settle(member);
                break;
            case < 170 when member.Node is not null:
                member.Node.Tick();
                Settle(member);
                break;
            case < 400:
                FinishWrites(member);
                break;
            default:
                if (_inFlight.Count > 0)
                {
                    DeliverSome(dice);
                }

                break;
        }
    }

    private void DeliverSome(int dice)
    {
        // Mostly in order of sending, sometimes not; some are lost and some arrive twice.
        int at = dice < 500 ? _random.Next(_inFlight.Count) : 0;
        RaftMessage message = _inFlight[at];
        if (dice is < 960 or > 975)
        {
            _inFlight.RemoveAt(at);
        }

        int from = IndexOf(message.From);
        int to = IndexOf(message.To);
        if (_side[from] == _side[to] && _random.Next(40) != 0)
        {
            Deliver(message);
        }
    }

    private void Deliver(RaftMessage message)
    {
        Member member = _members[IndexOf(message.To)];
        if (member.Node is null)
        {
            return;
        }

        // Through the codec, as on the wire.
        if (!RaftMessageCodec.TryDecode(RaftMessageCodec.Encode(message), out RaftMessage? arrived))
        {
            throw new InvariantException("A message could not be read back.");
        }

        member.Node.Step(arrived);
        Settle(member);
    }

    private void Settle(Member member)
    {
        RaftNode node = member.Node!;
        while (node.TakeReady() is { IsEmpty: false } ready)
        {
            foreach (RaftMessage message in ready.Messages)
            {
                if (_mutation == Mutation.None && !member.Disk.Backs(message))
                {
                    throw new InvariantException($"I-8: {message} left before what it says was durable.");
                }

                _inFlight.Add(message);
            }

            if (ready.Batch is { } batch)
            {
                if (member.Disk.Writing is not null)
                {
                    // Only a disk that acknowledged early has two writes under way; they reach it in order.
                    member.Disk.Finish();
                }

                member.Disk.Writing = batch;
                _safety.NoteEntries(batch.Entries, node.Self);
                if (_mutation == Mutation.AcknowledgeEarly)
                {
                    node.StorageAck(batch.Id);
                }
            }

            if (ready.Restore is { } snapshot)
            {
                member.Applied = snapshot.Index;
                member.State = BinaryPrimitives.ReadUInt64LittleEndian(snapshot.Data.Span);
                _safety.NoteState(member.Applied, member.State);
            }

            foreach (RaftEntry entry in ready.Committed)
            {
                if (entry.Index != member.Applied + 1)
                {
                    throw new InvariantException($"I-7: {node.Self} applied {entry.Index} after {member.Applied}.");
                }

                member.Applied = entry.Index;
                member.State = SafetyRecord.Fold(member.State, entry);
                _safety.NoteState(member.Applied, member.State);
            }
        }

        if (_inFlight.Count > InFlightMax)
        {
            _inFlight.RemoveRange(0, _inFlight.Count - InFlightMax);
        }

        if (member.Applied > node.CommitIndex)
        {
            throw new InvariantException($"I-7: {node.Self} applied {member.Applied} beyond its commit index {node.CommitIndex}.");
        }

        _safety.NoteCommit(node, [.. _members.Select(other => other.Disk)]);
        if (node.Role == RaftRole.Leader)
        {
            _safety.NoteLeader(node, member.Disk);
        }
    }

    private void FinishWrites(Member member)
    {
        while (member.Node is not null && member.Disk.Writing is { } batch)
        {
            HardState before = member.Disk.HardState;
            member.Disk.Finish();
            SafetyRecord.CheckVote(member.Node.Self, before, member.Disk.HardState);
            member.Node.StorageAck(batch.Id);
            Settle(member);
        }
    }

    private void TakeSnapshot(Member member)
    {
        if (member.Disk.Writing is not null)
        {
            return;
        }

        var state = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(state, member.State);
        RaftSnapshot snapshot = member.Node!.DescribeSnapshot(member.Applied, state);
        ulong keepFrom = snapshot.Index - Math.Min(snapshot.Index, (ulong)_random.Next(4)) + 1;
        member.Disk.SaveSnapshot(snapshot, keepFrom);
        member.Node.Compact(snapshot, keepFrom);
    }

    private void Crash(Member member)
    {
        if (member.Node is not null)
        {
            HardState before = member.Disk.HardState;
            member.Disk.Crash(_random, _mutation);
            if (_mutation == Mutation.None)
            {
                SafetyRecord.CheckVote(member.Node.Self, before, member.Disk.HardState);
            }

            member.Node = null;
        }
    }

    private void Boot(Member member)
    {
        RaftInitialState state = member.Disk.State;
        member.Node = new RaftNode(new RaftOptions { UncommittedBytesMax = 2000, BatchEntriesMax = 3 }, member.Id, state, new Random(_random.Next()));
        member.Applied = state.Snapshot.Index;
        member.State = state.Snapshot.Index > 0 ? BinaryPrimitives.ReadUInt64LittleEndian(state.Snapshot.Data.Span) : 0;
        if (_members is { Length: 1 })
        {
            member.Node.Campaign();
        }

        Settle(member);
    }

    private byte[] Payload()
    {
        var payload = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(payload, ++_proposals);
        return payload;
    }

    private int IndexOf(MemberId id) => Array.FindIndex(_members, member => member.Id == id);

    private sealed class Member(MemberId id, SimulatedDisk disk)
    {
        public MemberId Id { get; } = id;

        public SimulatedDisk Disk { get; } = disk;

        /// <summary>Null while it is down.</summary>
        public RaftNode? Node { get; set; }

        public ulong Applied { get; set; }

        /// <summary>A hash over everything applied, in order.</summary>
        public ulong State { get; set; }
    }
}
