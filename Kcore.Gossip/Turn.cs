namespace Kcore.Gossip;

/// <summary>
/// The input being handled: its time, the random source and where effects go. All parts of one core share it, so that
/// none of them can see another clock.
/// </summary>
internal sealed class Turn(GossipOptions options, Random random, TimeSpan now)
{
    private List<GossipEffect> _effects = [];

    public GossipOptions Options { get; } = options;

    public Random Random { get; } = random;

    public TimeSpan Now { get; private set; } = now;

    /// <summary>When the replicated state of this node last changed.</summary>
    public TimeSpan LastChange { get; private set; }

    public static TimeSpan Sooner(TimeSpan a, TimeSpan b) => a < b ? a : b;

    public static TimeSpan Later(TimeSpan a, TimeSpan b) => a > b ? a : b;

    /// <summary>Starts the turn of one input. A time before that of the last turn counts as that one.</summary>
    public void Begin(TimeSpan now, List<GossipEffect> effects)
    {
        Now = Later(now, Now);
        _effects = effects;
    }

    public void NoteChange() => LastChange = Now;

    public void Emit(GossipEffect effect) => _effects.Add(effect);

    /// <summary>A number for a ping that nobody can guess, so that its acknowledgement proves a round trip.</summary>
    public ulong NextSequence() => unchecked((ulong)Random.NextInt64());
}
