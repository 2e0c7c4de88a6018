using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Paths;

/// <summary>How many questions of one member are answered: a recorded one can be played again, and must not cost much.</summary>
internal sealed class AnswerBudget(PathRules rules)
{
    private readonly Dictionary<NodeId, (double Left, TimeSpan At)> _members = [];

    /// <param name="node">A member, so that there are never more entries than members that ever were.</param>
    public bool TryTake(NodeId node, TimeSpan now)
    {
        (double left, TimeSpan at) = _members.GetValueOrDefault(node, (rules.AnswerBurst, now));
        left = Math.Min(rules.AnswerBurst, left + ((now - at).TotalSeconds * rules.AnswersPerSecond));
        bool may = left >= 1;
        _members[node] = (may ? left - 1 : left, now);
        return may;
    }
}
