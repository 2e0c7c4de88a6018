using Kcore.Raft;

namespace Kcore.Simulation.Raft;

/// <summary>A way in which a disk or driver lies; each must be caught, or the simulator is too weak.</summary>
public enum Mutation
{
    None,

    /// <summary>Says "durable" when the write has only begun.</summary>
    AcknowledgeEarly,

    /// <summary>Keeps the term and loses the vote in a crash.</summary>
    ForgetVote,

    /// <summary>Loses the last entry in a crash.</summary>
    LoseTail,
}

/// <summary>What one member's store holds, and the write that is under way.</summary>
internal sealed class SimulatedDisk
{
    private readonly List<RaftEntry> _entries = [];
    private HardState _hardState;
    private RaftSnapshot _snapshot = RaftSnapshot.Empty;

    public SimulatedDisk(Configuration configuration)
    {
        _hardState = new HardState(1, MemberId.None, 0);
        _entries.Add(new RaftEntry(1, 1, RaftEntryKind.Configuration, ConfigurationCodec.Encode(configuration)));
    }

    public StorageBatch? Writing { get; set; }

    public HardState HardState => _hardState;

    public RaftInitialState State => new(default, _hardState, _snapshot, [.. _entries]);

    public bool Holds(ulong index, ulong term) =>
        index <= _snapshot.Index || _entries.Any(entry => entry.Index == index && entry.Term == term);

    /// <summary>True if a crash right now would not make a liar of who sends this.</summary>
    public bool Backs(RaftMessage message) => message switch
    {
        RaftMessage.VoteReply { Pre: false, Granted: true } vote =>
            _hardState.Term == vote.Term && _hardState.Vote == vote.To,
        RaftMessage.VoteRequest { Pre: false } request =>
            _hardState.Term == request.Term && _hardState.Vote == request.From,
        RaftMessage.AppendReply { Accepted: true } reply =>
            reply.Index <= Math.Max(_snapshot.Index, _entries.Count > 0 ? _entries[^1].Index : 0),
        _ => true,
    };

    public void Finish()
    {
        StorageBatch batch = Writing!;
        Writing = null;
        _hardState = batch.HardState;
        if (batch.Snapshot is { } snapshot)
        {
            _snapshot = snapshot;
            _entries.Clear();
        }

        foreach (RaftEntry entry in batch.Entries)
        {
            _entries.RemoveAll(held => held.Index >= entry.Index);
            _entries.Add(entry);
        }
    }

    public void SaveSnapshot(RaftSnapshot snapshot, ulong keepFrom)
    {
        _snapshot = snapshot;
        _entries.RemoveAll(entry => entry.Index < keepFrom && entry.Index <= snapshot.Index);
    }

    /// <summary>Power is lost: the write under way happened or did not.</summary>
    public void Crash(Random random, Mutation mutation)
    {
        if (Writing is not null && random.Next(2) == 0)
        {
            Finish();
        }

        Writing = null;
        if (mutation == Mutation.ForgetVote)
        {
            _hardState = _hardState with { Vote = MemberId.None };
        }

        if (mutation == Mutation.LoseTail && _entries.Count > 1)
        {
            _entries.RemoveAt(_entries.Count - 1);
        }
    }
}
