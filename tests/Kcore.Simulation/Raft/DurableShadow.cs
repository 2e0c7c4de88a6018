using Kcore.Raft;

namespace Kcore.Simulation.Raft;

/// <summary>
/// What one store has acknowledged, kept beside it: after a crash the store must hold exactly this, or this and the write
/// that was under way, never less and nothing in between.
/// </summary>
internal sealed class DurableShadow(SafetyRecord record)
{
    private HardState _hardState;
    private List<ulong> _terms = [];
    private StorageBatch? _pending;

    public HardState HardState => _hardState;

    public bool Holds(ulong index, ulong term) => index <= (ulong)_terms.Count && index > 0 && _terms[(int)index - 1] == term;

    /// <summary>Terms of entries 1 to the last.</summary>
    public IReadOnlyList<ulong> Terms => _terms;

    public void Begin(StorageBatch batch) => _pending = batch;

    public void Complete(MemberId member)
    {
        StorageBatch batch = _pending!;
        _pending = null;
        CheckVote(member, _hardState, batch.HardState);
        (_hardState, _terms) = After(batch);
    }

    /// <summary>What a store holds that was opened for the first time.</summary>
    public void Begin(RaftInitialState state)
    {
        _hardState = state.HardState;
        _terms = [.. state.Entries.Select(entry => entry.Term)];
    }

    public void CheckRecovered(MemberId member, RaftInitialState state)
    {
        CheckVote(member, _hardState, state.HardState);
        if (Fits(state, _hardState, _terms))
        {
            _pending = null;
            return;
        }

        if (_pending is { } batch)
        {
            (HardState hardState, List<ulong> terms) = After(batch);
            _pending = null;
            if (Fits(state, hardState, terms))
            {
                (_hardState, _terms) = (hardState, terms);
                return;
            }

            // A snapshot file becomes durable before the batch that belongs to it.
            if (batch.Snapshot is { } snapshot && Fits(state, _hardState, Below(snapshot)))
            {
                _terms = Below(snapshot);
                return;
            }
        }

        throw new InvariantException(
            $"Storage: {member} acknowledged {_hardState} and {_terms.Count} entries; it came back with {state.HardState}, snapshot {state.Snapshot.Index} and entries {string.Join(',', state.Entries.Take(1).Concat(state.Entries.TakeLast(1)).Select(entry => $"{entry.Index}/{entry.Term}"))}.");
    }

    /// <summary>I-8: a crash right now would not make a liar of who sends this.</summary>
    public bool Backs(RaftMessage message) => message switch
    {
        RaftMessage.VoteReply { Pre: false, Granted: true } vote => _hardState.Term == vote.Term && _hardState.Vote == vote.To,
        RaftMessage.VoteRequest { Pre: false } request => _hardState.Term == request.Term && _hardState.Vote == request.From,
        RaftMessage.AppendReply { Accepted: true } reply => reply.Index <= (ulong)_terms.Count,
        _ => true,
    };

    // I-2.
    private static void CheckVote(MemberId member, HardState before, HardState after)
    {
        if (after.Term < before.Term || (after.Term == before.Term && !before.Vote.IsNone && after.Vote != before.Vote))
        {
            throw new InvariantException($"I-2: {member} went from {before} to {after}.");
        }
    }

    private static bool Fits(RaftInitialState state, HardState hardState, List<ulong> terms)
    {
        ulong last = state.Entries.Count > 0 ? state.Entries[^1].Index : state.Snapshot.Index;
        RaftSnapshot snapshot = state.Snapshot;
        return state.HardState == hardState
            && last == (ulong)terms.Count
            && (snapshot.Index == 0 || terms[(int)snapshot.Index - 1] == snapshot.Term)
            && state.Entries.All(entry => terms[(int)entry.Index - 1] == entry.Term);
    }

    private List<ulong> Below(RaftSnapshot snapshot) => [.. Enumerable.Range(1, (int)snapshot.Index).Select(index => record.CommittedTerm((ulong)index))];

    private (HardState HardState, List<ulong> Terms) After(StorageBatch batch)
    {
        List<ulong> terms = batch.Snapshot is { } snapshot ? Below(snapshot) : batch.Entries.IsEmpty ? _terms : [.. _terms];
        foreach (RaftEntry entry in batch.Entries)
        {
            if (entry.Index <= (ulong)terms.Count)
            {
                terms.RemoveRange((int)entry.Index - 1, terms.Count - (int)entry.Index + 1);
            }

            if (entry.Index != (ulong)terms.Count + 1)
            {
                throw new InvariantException($"Storage: entry {entry.Index} was written behind entry {terms.Count}.");
            }

            terms.Add(entry.Term);
        }

        return (batch.HardState, terms);
    }
}
