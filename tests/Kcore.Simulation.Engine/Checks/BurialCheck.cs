using Kcore.Gossip;

namespace Kcore.Simulation.Engine.Checks;

/// <summary>
/// Invariant 8: nobody buries the living, and nobody who hears from nobody buries anybody. A death counts as false when
/// neither the network, nor the subject, nor the accuser was disturbed for a while before; random loss up to the given
/// rate is no excuse.
/// </summary>
public sealed class BurialCheck : ClusterCheck
{
    private static readonly TimeSpan Calm = TimeSpan.FromSeconds(20);
    private readonly TimeSpan _window;
    private readonly double _tolerableLoss;
    private readonly Dictionary<int, Dictionary<NodeId, TimeSpan>> _heard = [];
    private readonly Dictionary<(int Node, long Stream), NodeId> _asked = [];

    public BurialCheck(GossipCluster cluster, GossipOptions options, double tolerableLoss)
        : base(cluster)
    {
        _tolerableLoss = tolerableLoss;
        // Two periods, the last probe that follows, and some turns of a slow loop.
        _window = (options.ProbePeriod * 2) + TimeSpan.FromMilliseconds(600);
    }

    /// <summary>Deaths declared of members that ran at that moment, excused or not.</summary>
    public int FalseDeaths { get; private set; }

    public override void OnStart(SimulatedNode node) => _heard[node.Index] = [];

    public override void OnInput(SimulatedNode node, GossipInput input)
    {
        switch (input)
        {
            case GossipInput.Datagram datagram:
                _heard[node.Index][datagram.From] = Cluster.Now;
                break;
            case GossipInput.StreamRequest request:
                _heard[node.Index][request.From] = Cluster.Now;
                break;
            case GossipInput.StreamReply reply when _asked.TryGetValue((node.Index, reply.Stream), out NodeId peer):
                _heard[node.Index][peer] = Cluster.Now;
                break;
        }
    }

    public override void OnEffect(SimulatedNode node, GossipEffect effect)
    {
        if (effect is GossipEffect.OpenStream open)
        {
            _asked[(node.Index, open.Stream)] = open.To;
        }

        if (effect is not GossipEffect.MemberChanged { After: { Status: MemberStatus.Dead } after } changed || changed.Accuser != node.Id)
        {
            return;
        }

        CheckGate(node, after.Id);
        if (Cluster.Running.FirstOrDefault(n => n.Id == after.Id) is not { } subject)
        {
            return;
        }

        FalseDeaths++;
        TimeSpan calmSince = Later(Cluster.NetworkDisturbed, Later(subject.LastDisturbed, node.LastDisturbed));
        if (Cluster.Network.IsFair(_tolerableLoss)
            && node.ServiceTime == TimeSpan.Zero && subject.ServiceTime == TimeSpan.Zero && Cluster.Now - calmSince > Calm)
        {
            throw Cluster.Violation($"node {node.Index} buries node {subject.Index}, which is well since {calmSince}");
        }
    }

    private void CheckGate(SimulatedNode node, NodeId subject)
    {
        // The gate is looked at before the last probe; one member may have come meanwhile.
        int active = node.Core!.Members.Members.Count(m => m.IsActive);
        int needed = active <= 2 ? 0 : active >= 5 ? 2 : 1;
        int heard = _heard[node.Index].Count(h => h.Key != subject && h.Key != node.Id && Cluster.Now - h.Value <= _window);
        if (heard < needed)
        {
            throw Cluster.Violation($"node {node.Index} buries {subject.Short} though it has heard from {heard} others lately and sees {active} members");
        }
    }

    private static TimeSpan Later(TimeSpan a, TimeSpan b) => a > b ? a : b;
}
