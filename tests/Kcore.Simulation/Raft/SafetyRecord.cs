using Kcore.Raft;

namespace Kcore.Simulation.Raft;

/// <summary>Everything that was ever promised in one run, and the checks against it.</summary>
internal sealed class SafetyRecord(int size)
{
    private readonly Dictionary<ulong, MemberId> _leaders = [];
    private readonly Dictionary<(ulong Index, ulong Term), ulong> _entries = [];
    private readonly Dictionary<ulong, ulong> _stateAfter = [];
    private readonly SortedDictionary<ulong, ulong> _committedTerms = [];

    public ulong CommittedMax { get; private set; }

    public int LeaderCount => _leaders.Count;

    public static ulong Fold(ulong state, RaftEntry entry)
    {
        state = Mix(state, entry.Index);
        state = Mix(state, entry.Term);
        foreach (byte value in entry.Data.Span)
        {
            state = Mix(state, value);
        }

        return state;
    }

    /// <summary>I-2: the durable term never falls, and a vote given in it never changes.</summary>
    public static void CheckVote(MemberId member, HardState before, HardState after)
    {
        if (after.Term < before.Term || (after.Term == before.Term && !before.Vote.IsNone && after.Vote != before.Vote))
        {
            throw new InvariantException($"I-2: {member} went from {before} to {after}.");
        }
    }

    /// <summary>I-3: an index and a term name one entry, whoever holds it.</summary>
    public void NoteEntries(IEnumerable<RaftEntry> entries, MemberId member)
    {
        foreach (RaftEntry entry in entries)
        {
            ulong content = Fold(0, entry);
            if (!_entries.TryAdd((entry.Index, entry.Term), content) && _entries[(entry.Index, entry.Term)] != content)
            {
                throw new InvariantException($"I-3: {member} holds another entry {entry.Index} of term {entry.Term}.");
            }
        }
    }

    /// <summary>I-6: the state after an index is the same everywhere.</summary>
    public void NoteState(ulong index, ulong state)
    {
        if (!_stateAfter.TryAdd(index, state) && _stateAfter[index] != state)
        {
            throw new InvariantException($"I-6: two states after entry {index}.");
        }
    }

    /// <summary>I-4: what is called committed is durable on a majority.</summary>
    public void NoteCommit(RaftNode node, SimulatedDisk[] disks)
    {
        while (CommittedMax < node.CommitIndex)
        {
            ulong index = CommittedMax + 1;
            ulong[] terms = [.. _entries.Keys.Where(key => key.Index == index).Select(key => key.Term), .. index == 1 ? [1UL] : Array.Empty<ulong>()];
            ulong term = terms.FirstOrDefault(candidate => disks.Count(disk => disk.Holds(index, candidate)) > size / 2);
            if (term == 0)
            {
                throw new InvariantException($"I-4: {node.Self} calls entry {index} committed, which no majority holds durably.");
            }

            CommittedMax = index;
            _committedTerms[index] = term;
        }
    }

    /// <summary>I-1: one leader in a term. I-5: it holds everything that was ever committed.</summary>
    public void NoteLeader(RaftNode node, SimulatedDisk disk)
    {
        if (!_leaders.TryAdd(node.Term, node.Self))
        {
            if (_leaders[node.Term] != node.Self)
            {
                throw new InvariantException($"I-1: {_leaders[node.Term]} and {node.Self} both lead term {node.Term}.");
            }

            return;
        }

        foreach ((ulong index, ulong term) in _committedTerms)
        {
            if (!disk.Holds(index, term))
            {
                throw new InvariantException($"I-5: {node.Self} leads term {node.Term} without the committed entry {index} of term {term}.");
            }
        }
    }

    private static ulong Mix(ulong hash, ulong value) => ((hash ^ value) * 0x9E37_79B9_7F4A_7C15UL) ^ (hash >> 29);
}
