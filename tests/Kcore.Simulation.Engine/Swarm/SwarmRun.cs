using Kcore.Simulation.Engine.Checks;

namespace Kcore.Simulation.Engine.Swarm;

/// <summary>What a run that found nothing wrong has to tell.</summary>
public sealed record SwarmResult(SwarmPlan Plan, ulong TraceHash, TimeSpan VirtualTime, TimeSpan HealTime, long Inputs, int FalseDeaths);

/// <summary>
/// One seed: a cluster forms, is plagued and written to, heals, and must then agree. Safety is checked all the time.
/// </summary>
public sealed class SwarmRun
{
    /// <summary>From the end of all faults to equal digests and everybody alive. Addresses are retried once a minute at the slowest.</summary>
    private static readonly TimeSpan HealLimit = TimeSpan.FromSeconds(150);

    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(5);
    private readonly SwarmPlan _plan;
    private readonly GossipCluster _cluster;
    private readonly BurialCheck _burials;
    private readonly SwarmFaultInjector _faults;
    private readonly SwarmWriter _writer;
    private readonly SeedStream _pace;

    private SwarmRun(SwarmPlan plan, TextWriter? journal)
    {
        _plan = plan;
        _cluster = new GossipCluster(plan.Seed, plan.Nodes, plan.Options);
        _burials = new BurialCheck(_cluster, plan.Options, tolerableLoss: 0.2);
        _cluster.Checks.AddRange([new ProgressCheck(_cluster), new VisibilityCheck(_cluster), _burials, new BoundsCheck(_cluster)]);
        if (journal is not null)
        {
            _cluster.Checks.Insert(0, new EffectJournal(_cluster, journal));
        }

        var log = new SimulatedLog(_cluster, Math.Min(3, plan.Nodes));
        _faults = new SwarmFaultInjector(plan, _cluster, log);
        _writer = new SwarmWriter(plan, _cluster, log);
        _pace = new SeedStream(plan.Seed, StreamPurpose.Plan, 1);
    }

    /// <param name="journal">Gets a line for everything that happens.</param>
    /// <exception cref="InvariantViolationException">What went wrong, with the plan and how to see it again.</exception>
    public static SwarmResult Run(SwarmPlan plan, TextWriter? journal = null)
    {
        try
        {
            return new SwarmRun(plan, journal).Run();
        }
        catch (Exception e)
        {
            throw new InvariantViolationException(
                $"{(e is InvariantViolationException ? e.Message : e)}\n  plan: {plan}\n  replay: KCORE_SIM_SEED={plan.Seed} ./dev test sim --filter Swarm, or ./dev bench gossip-sim --replay {plan.Seed}");
        }
    }

    private SwarmResult Run()
    {
        ApplyRates();
        _cluster.StartAll();
        TimeSpan end = _cluster.Now + _plan.Length;
        TimeSpan nextFault = _plan.FaultPause;
        TimeSpan nextWrite = TimeSpan.Zero;
        while (_cluster.Now < end)
        {
            TimeSpan next = nextFault < nextWrite ? nextFault : nextWrite;
            _cluster.RunFor((next < end ? next : end) - _cluster.Now);
            if (_cluster.Now >= nextFault)
            {
                _faults.Inject();
                nextFault = _cluster.Now + _pace.Exponential(_plan.FaultPause);
            }

            if (_cluster.Now >= nextWrite)
            {
                _writer.Write();
                nextWrite = _cluster.Now + _pace.Exponential(_plan.WritePause);
            }
        }

        TimeSpan waited = _faults.AbsentUntil - _cluster.Now;
        if (waited > TimeSpan.Zero)
        {
            _cluster.RunFor(waited);
        }

        _faults.Heal();
        TimeSpan heal = _cluster.RunUntil(
            () => _cluster.InSync() && !_cluster.AnyStalled() && _cluster.AllSeeAll(), HealLimit, "agreement after the faults", TimeSpan.FromMilliseconds(50));
        _cluster.RunFor(Quiet);
        if (!_cluster.InSync() || !_cluster.AllSeeAll())
        {
            throw _cluster.Violation($"agreement did not last. {_cluster.Describe()}");
        }

        foreach (ClusterCheck check in _cluster.Checks)
        {
            check.OnQuiet();
        }

        return new SwarmResult(_plan, _cluster.Trace!.Value, _cluster.Now, heal, _cluster.Inputs, _burials.FalseDeaths);
    }

    private void ApplyRates()
    {
        VirtualNetwork network = _cluster.Network;
        network.Loss = _plan.Loss;
        network.Duplication = _plan.Duplication;
        network.DelayMax = _plan.DelayMax;
        network.Tail = _plan.Tail;
        network.StreamFailure = _plan.StreamFailure;
        network.BurstMean = _plan.BurstMean;
    }
}
