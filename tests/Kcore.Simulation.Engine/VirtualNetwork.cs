namespace Kcore.Simulation.Engine;

/// <summary>
/// What the network does to datagrams and streams. All settings may change while a run goes on; decisions about single
/// packets come from a stream of their own.
/// </summary>
public sealed class VirtualNetwork
{
    private static readonly TimeSpan RetransmitMin = TimeSpan.FromMilliseconds(200);
    private readonly SeedStream _random;
    private readonly HashSet<(int From, int To)> _cuts = [];
    private readonly HashSet<int> _silent = [];
    private readonly Dictionary<int, Burst> _bursts = [];
    private int[] _sides;

    internal VirtualNetwork(ulong seed, int nodes)
    {
        _random = new SeedStream(seed, StreamPurpose.Network);
        _sides = new int[nodes];
    }

    /// <summary>Share of datagrams that are lost, each for itself.</summary>
    public double Loss { get; set; }

    /// <summary>Share of datagrams that arrive twice.</summary>
    public double Duplication { get; set; }

    /// <summary>Delay of a datagram: uniform between the two, so close ones overtake each other.</summary>
    public TimeSpan DelayMin { get; set; } = TimeSpan.FromMilliseconds(0.2);

    public TimeSpan DelayMax { get; set; } = TimeSpan.FromMilliseconds(1);

    /// <summary>Share of datagrams in the tail of the distribution: up to <see cref="TailMax"/> (Pareto, exponent 1).</summary>
    public double Tail { get; set; }

    public TimeSpan TailMax { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Share of streams that break: at the connection or after some pieces of the answer.</summary>
    public double StreamFailure { get; set; }

    /// <summary>
    /// Mean length of the times in which a node loses <see cref="BurstLoss"/> of what it sends and gets; zero for none
    /// (Gilbert 1960). Such times are nine times rarer than calm.
    /// </summary>
    public TimeSpan BurstMean { get; set; }

    public double BurstLoss { get; set; } = 0.8;

    /// <summary>Datagrams this matches are lost whatever the rate.</summary>
    public Predicate<ReadOnlyMemory<byte>>? Swallow { get; set; }

    public bool IsWhole => _cuts.Count == 0 && Array.TrueForAll(_sides, s => s == 0);

    /// <summary>Whether a detector has no excuse: nothing cut, no bursts, no long delays, and loss up to the given rate.</summary>
    public bool IsFair(double loss) =>
        IsWhole && _silent.Count == 0 && Loss <= loss && BurstMean <= TimeSpan.Zero && Tail <= 0 && DelayMax <= TimeSpan.FromMilliseconds(25);

    /// <summary>Nodes of different sides do not reach each other.</summary>
    public void Split(Func<int, int> side)
    {
        for (int i = 0; i < _sides.Length; i++)
        {
            _sides[i] = side(i);
        }
    }

    /// <summary>What the first sends does not reach the second any more; the other direction stays.</summary>
    public void Cut(int from, int to) => _cuts.Add((from, to));

    public void Mend(int from, int to) => _cuts.Remove((from, to));

    /// <summary>All datagrams of a node are lost from now on, as by a filter for UDP; its streams are not, nor what it is sent.</summary>
    public void Silence(int node) => _silent.Add(node);

    /// <summary>Ends every cut and split; rates stay.</summary>
    public void Mend()
    {
        _silent.Clear();
        _cuts.Clear();
        Array.Clear(_sides);
    }

    /// <summary>A network as good as a LAN is.</summary>
    public void Heal()
    {
        Mend();
        Loss = 0;
        Duplication = 0;
        DelayMin = TimeSpan.FromMilliseconds(0.2);
        DelayMax = TimeSpan.FromMilliseconds(1);
        Tail = 0;
        StreamFailure = 0;
        BurstMean = TimeSpan.Zero;
    }

    public bool Reaches(int from, int to) => _sides[from] == _sides[to] && (_cuts.Count == 0 || !_cuts.Contains((from, to)));

    internal void Grow(int nodes) => Array.Resize(ref _sides, nodes);

    /// <summary>How often the datagram arrives: none, one or two.</summary>
    internal int Copies(int from, int to, long now, ReadOnlyMemory<byte> payload)
    {
        bool lost = _random.NextDouble() < LossAt(from, to, now);
        if (!Reaches(from, to) || lost || _silent.Contains(from) || (Swallow is { } swallow && swallow(payload)))
        {
            return 0;
        }

        return Duplication > 0 && _random.NextDouble() < Duplication ? 2 : 1;
    }

    internal long Delay()
    {
        double u = _random.NextDouble();
        if (Tail > 0 && _random.NextDouble() < Tail)
        {
            return (long)Math.Min(TailMax.Ticks, DelayMax.Ticks / Math.Max(1e-9, 1 - u));
        }

        return DelayMin.Ticks + (long)((DelayMax - DelayMin).Ticks * u);
    }

    /// <summary>Delay of a segment of a stream, with retransmissions; null when the connection gives up.</summary>
    internal long? StreamDelay(int from, int to, long now)
    {
        long delay = Delay();
        long pause = RetransmitMin.Ticks;
        while (_random.NextDouble() < LossAt(from, to, now))
        {
            delay += pause;
            pause *= 2;
            if (delay > TimeSpan.TicksPerSecond * 10)
            {
                return null;
            }
        }

        return Reaches(from, to) ? delay : null;
    }

    internal bool StreamBreaks() => StreamFailure > 0 && _random.NextDouble() < StreamFailure;

    private double LossAt(int from, int to, long now)
    {
        if (BurstMean <= TimeSpan.Zero)
        {
            return Loss;
        }

        return InBurst(from, now) || InBurst(to, now) ? Math.Max(Loss, BurstLoss) : Loss;
    }

    private bool InBurst(int node, long now)
    {
        if (!_bursts.TryGetValue(node, out Burst burst))
        {
            burst = new Burst(false, now);
        }

        while (burst.Until <= now)
        {
            TimeSpan mean = burst.IsBad ? BurstMean * 9 : BurstMean;
            burst = new Burst(!burst.IsBad, burst.Until + Math.Max(1, _random.Exponential(mean).Ticks));
        }

        _bursts[node] = burst;
        return burst.IsBad;
    }

    private readonly record struct Burst(bool IsBad, long Until);
}
