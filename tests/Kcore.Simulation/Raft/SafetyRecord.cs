using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Ipam;
using Kcore.Raft;

namespace Kcore.Simulation.Raft;

/// <summary>Everything that was ever promised in one run, and the checks against it.</summary>
internal sealed class SafetyRecord
{
    private readonly Dictionary<ulong, MemberId> _leaders = [];
    private readonly HashSet<ulong> _completeLeaders = [];
    private readonly HashSet<ulong> _committingTerms = [];
    private readonly Dictionary<(ulong Index, ulong Term), ulong> _entries = [];
    private readonly List<Committed> _committed = [];
    private readonly Dictionary<ulong, string> _snapshots = [];
    private readonly Dictionary<(NetworkUid Network, string Address), AttachmentId> _holders = [];
    private readonly Dictionary<AttachmentId, string> _addresses = [];
    private readonly HashSet<NetworkUid> _reusing = [];
    private readonly NaiveAllocator _naive = new();

    /// <summary>The largest index a leader called committed.</summary>
    public ulong CommittedMax { get; private set; }

    public int LeaderCount => _leaders.Count;

    /// <summary>Configurations that were committed.</summary>
    public int ConfigurationCount => _committed.Count(entry => entry.Entry.Kind == RaftEntryKind.Configuration);

    public IReadOnlyCollection<AttachmentId> Held => _naive.Held;

    public ulong CommittedTerm(ulong index) => index <= (ulong)_committed.Count
        ? _committed[(int)index - 1].Entry.Term
        : throw new InvariantException($"I-11: a snapshot covers entry {index}, which nobody applied.");

    /// <summary>I-3: an index and a term name one entry, whoever holds it.</summary>
    public void NoteEntries(IEnumerable<RaftEntry> entries, MemberId member)
    {
        foreach (RaftEntry entry in entries)
        {
            ulong content = Fold(entry);
            if (!_entries.TryAdd((entry.Index, entry.Term), content) && _entries[(entry.Index, entry.Term)] != content)
            {
                throw new InvariantException($"I-3: {member} holds another entry {entry.Index} of term {entry.Term}.");
            }
        }
    }

    /// <summary>
    /// I-4 with I-10 and I-12: what a leader calls committed is durable on a majority of the voters of each half, by the
    /// stores' own account; learners, former and wiped members do not count. Its newest committed entry is of its own term.
    /// </summary>
    public void NoteCommit(RaftNode leader, Configuration configuration, Func<MemberId, DurableShadow?> shadowOf)
    {
        if (leader.CommitIndex <= CommittedMax)
        {
            return;
        }

        bool IsDurableOn(MemberId voter) => shadowOf(voter)?.Holds(leader.CommitIndex, leader.Term) == true;
        bool HasMajority(IReadOnlyCollection<MemberId> voters) => voters.Count(IsDurableOn) > voters.Count / 2;
        if (!HasMajority(configuration.Voters) || (configuration.IsJoint && !HasMajority(configuration.OldVoters)))
        {
            throw new InvariantException(
                $"I-4: {leader.Self} in term {leader.Term} calls entry {leader.CommitIndex} committed, which no majority holds durably in that term.");
        }

        CommittedMax = leader.CommitIndex;
        _committingTerms.Add(leader.Term);
    }

    /// <summary>I-7: nobody knows of a commit that no leader made.</summary>
    public void CheckCommit(RaftNode node)
    {
        if (node.CommitIndex > CommittedMax)
        {
            throw new InvariantException($"I-7: {node.Self} believes entry {node.CommitIndex} committed; leaders committed up to {CommittedMax}.");
        }
    }

    /// <summary>I-1: one leader in a term, and it votes. I-5: what it holds durably has everything that was committed.</summary>
    public void NoteLeader(RaftNode node, DurableShadow shadow)
    {
        if (_leaders.TryAdd(node.Term, node.Self))
        {
            // Unless its leaving is not committed yet.
            if (!node.Configuration.IsVoter(node.Self) && node.IsConfigurationCommitted)
            {
                throw new InvariantException($"I-12: {node.Self} began to lead term {node.Term} and does not vote.");
            }
        }
        else if (_leaders[node.Term] != node.Self)
        {
            throw new InvariantException($"I-1: {_leaders[node.Term]} and {node.Self} both lead term {node.Term}.");
        }

        // The entry a leader begins its term with lies behind everything it had when it was elected.
        if (_completeLeaders.Contains(node.Term) || shadow.Terms.Count == 0 || shadow.Terms[^1] != node.Term)
        {
            return;
        }

        for (int i = 0; i < _committed.Count && _committed[i].Entry.Term < node.Term; i++)
        {
            if (i >= shadow.Terms.Count || shadow.Terms[i] != _committed[i].Entry.Term)
            {
                throw new InvariantException($"I-5: {node.Self} leads term {node.Term} without the committed entry {i + 1} of term {_committed[i].Entry.Term}.");
            }
        }

        _completeLeaders.Add(node.Term);
    }

    /// <summary>
    /// I-9: a new configuration follows only a committed one and an entry of the leader's own term, and every step keeps a
    /// common majority.
    /// </summary>
    public void CheckChange(RaftNode leader, (ulong Index, Configuration Configuration) before, ulong committedBefore)
    {
        if (leader.ConfigurationIndex == before.Index)
        {
            return;
        }

        // Joint to left may happen in the very step in which the joint one is committed.
        Configuration old = before.Configuration;
        Configuration now = leader.Configuration;
        bool isStep = old.IsJoint ? now.Equals(old.Left)
            : now.IsJoint ? now.OldVoters.SequenceEqual(old.Voters)
            : now.Voters.SequenceEqual(old.Voters);
        if (!isStep || !_committingTerms.Contains(leader.Term) || before.Index > Math.Max(committedBefore, leader.CommitIndex))
        {
            throw new InvariantException($"I-9: {leader.Self} appended configuration {leader.ConfigurationIndex} after {before.Index}, committed up to {leader.CommitIndex}.");
        }
    }

    /// <summary>I-6, and for whoever applies an entry first A-1 to A-3, A-5 and A-8.</summary>
    public void NoteApplied(MemberId member, RaftEntry entry, ReplicatedResult? result)
    {
        if (entry.Index > CommittedMax)
        {
            throw new InvariantException($"I-7: {member} applied entry {entry.Index}; leaders committed up to {CommittedMax}.");
        }

        if (entry.Index <= (ulong)_committed.Count)
        {
            Committed known = _committed[(int)entry.Index - 1];
            if (known.Entry.Term != entry.Term || Fold(known.Entry) != Fold(entry) || !Equals(known.Result, result))
            {
                throw new InvariantException($"I-6: {member} applied entry {entry.Index} of term {entry.Term} with {result}; elsewhere it is of term {known.Entry.Term} with {known.Result}.");
            }

            return;
        }

        _committed.Add(new Committed(entry, result));
        if (entry.Kind == RaftEntryKind.Command && CommandCodec.TryDecode(entry.Data.Span, out ReplicatedCommand? command))
        {
            CheckAnswer(entry.Index, command, result!);
        }
    }

    /// <summary>I-11: a snapshot at an index is the same bytes, whoever takes it, and a restored one is one that was taken.</summary>
    public void NoteSnapshot(MemberId member, ulong index, byte[] state, bool isTaken)
    {
        string hash = Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(state));
        bool isKnown = _snapshots.TryGetValue(index, out string? known);
        if (isKnown ? known != hash : !isTaken)
        {
            throw new InvariantException($"I-11: the snapshot at {index} of {member} differs from the others' or was never taken.");
        }

        _snapshots[index] = hash;
    }

    /// <summary>A-7: an answer that a client got is in the log.</summary>
    public void NoteAnswered(AttachmentId attachment, string address)
    {
        if (!_addresses.TryGetValue(attachment, out string? granted) || granted != address)
        {
            throw new InvariantException($"A-7: {attachment} was told {address}; the log says {granted ?? "nothing"}.");
        }
    }

    /// <summary>A-1 before the log knows: a NIC has an address of its node's reserve from now on.</summary>
    public void NoteTaken(NetworkUid network, string address, AttachmentId attachment)
    {
        if (!_holders.TryAdd((network, address), attachment) && _holders[(network, address)] != attachment)
        {
            throw new InvariantException($"A-1: {address} went to {_holders[(network, address)]} and, from a reserve, to {attachment}.");
        }
    }

    /// <inheritdoc cref="NaiveAllocator.NodeOf"/>
    public Guid NodeOf(AttachmentId attachment) => _naive.NodeOf(attachment);

    /// <inheritdoc cref="NaiveAllocator.Count"/>
    public (long Free, long Parked) Count(NetworkUid network) => _naive.Count(network);

    /// <summary>The state that the committed log leads to, computed from nothing.</summary>
    public ReplicatedState Replay(ulong upTo)
    {
        var state = new ReplicatedState();
        foreach (Committed committed in _committed.Take((int)upTo).Where(committed => committed.Entry.Kind == RaftEntryKind.Command))
        {
            state.Apply(committed.Entry.Index, committed.Entry.Data);
        }

        return state;
    }

    private void CheckAnswer(ulong index, ReplicatedCommand command, ReplicatedResult result)
    {
        string expected = _naive.Apply(index, command);
        string answer = NaiveAllocator.Describe(result);
        if (expected != answer)
        {
            throw new InvariantException($"A-5: entry {index} ({command}) answered {answer}; the naive allocator says {expected}.");
        }

        if (result is ReplicatedResult.Done)
        {
            NoteReuse(command);
        }

        (NetworkUid, AttachmentId)? asked = command switch
        {
            ReplicatedCommand.Allocate allocate => (allocate.Network, allocate.Attachment),
            ReplicatedCommand.UseReserve use => (use.Network, use.Attachment),
            _ => null,
        };
        if (asked is var (network, attachment) && result is ReplicatedResult.Granted granted)
        {
            string address = granted.Address.ToString();
            if (!_holders.TryAdd((network, address), attachment) && _holders[(network, address)] != attachment)
            {
                throw new InvariantException($"A-1: {address} went to {_holders[(network, address)]} and to {attachment}.");
            }

            if (!_addresses.TryAdd(attachment, address) && _addresses[attachment] != address)
            {
                throw new InvariantException($"A-2: {attachment} got {_addresses[attachment]} and {address}.");
            }
        }
    }

    // Where addresses are given again the holder of a released one is none; elsewhere it stays for ever.
    private void NoteReuse(ReplicatedCommand command)
    {
        if (command is ReplicatedCommand.CreatePool { Reuse: AddressReuse.Quarantine } pool)
        {
            _reusing.Add(pool.Network);
        }

        if (command is ReplicatedCommand.ReturnReserve { WasUsed: true } back && _reusing.Contains(back.Network))
        {
            _holders.Remove((back.Network, back.Address.ToString()));
        }

        AttachmentId? ended = command switch
        {
            ReplicatedCommand.Release release => release.Attachment,
            ReplicatedCommand.ReleaseOrphan release => release.Attachment,
            _ => null,
        };
        foreach ((NetworkUid Network, string Address) held in _holders.Where(h => h.Value == ended && _reusing.Contains(h.Key.Network)).Select(h => h.Key).ToArray())
        {
            _holders.Remove(held);
        }
    }

    private static ulong Fold(RaftEntry entry)
    {
        ulong hash = Mix(Mix((ulong)entry.Kind, entry.Index), entry.Term);
        foreach (byte value in entry.Data.Span)
        {
            hash = Mix(hash, value);
        }

        return hash;
    }

    private static ulong Mix(ulong hash, ulong value) => ((hash ^ value) * 0x9E37_79B9_7F4A_7C15UL) ^ (hash >> 29);

    private readonly record struct Committed(RaftEntry Entry, ReplicatedResult? Result);
}
