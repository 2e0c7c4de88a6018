using Kcore.Gossip;
using Kcore.Simulation.Engine;

namespace Kcore.Bench.GossipSim;

/// <summary>Clusters to measure in, and how fast they were simulated.</summary>
internal sealed class Bench
{
    private TimeSpan _begun = Environment.CpuUsage.TotalTime;
    private TimeSpan _virtual;

    /// <summary>Virtual seconds simulated in one second of one core: on a busy machine the clock on the wall tells nothing.</summary>
    public double Speed => _virtual.TotalSeconds / Math.Max(1e-9, (Environment.CpuUsage.TotalTime - _begun).TotalSeconds);

    /// <summary>A cluster in which everybody knows everybody and nothing is left to tell.</summary>
    public static GossipCluster Formed(ulong seed, int nodes, GossipOptions? options = null, TimeSpan? rest = null)
    {
        var cluster = new GossipCluster(seed, nodes, options) { Trace = null };
        cluster.StartAll();
        cluster.RunUntil(
            () => cluster.InSync() && cluster.AllSeeAll(), TimeSpan.FromMinutes(5), "everybody knows everybody", TimeSpan.FromMilliseconds(100));
        cluster.RunFor(rest ?? TimeSpan.FromSeconds(10));
        return cluster;
    }

    /// <summary>Starts to count processor time and virtual time: forming is not what is measured.</summary>
    public void Begin()
    {
        _virtual = TimeSpan.Zero;
        _begun = Environment.CpuUsage.TotalTime;
    }

    public void Count(TimeSpan simulated) => _virtual += simulated;
}
