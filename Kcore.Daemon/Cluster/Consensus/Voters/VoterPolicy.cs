using System.Collections.Immutable;
using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus.Voters;

/// <summary>
/// Who votes. Pure: what the leader sees goes in, at most one change comes out, and asking again after the change was made
/// gives none. A failure never makes the set smaller: a smaller majority is what a split needs to give an address twice;
/// only nodes that left or were removed lower the number.
/// </summary>
internal static class VoterPolicy
{
    public static VoterDecision? Decide(VoterSituation situation, VoterRules rules)
    {
        if (situation.Configuration.IsJoint || !situation.Configuration.IsVoter(situation.Self))
        {
            return null;
        }

        Dictionary<MemberId, VoterNode> nodes = situation.Nodes.ToDictionary(n => n.Member);
        ImmutableArray<MemberId> now = situation.Configuration.Voters;

        // Who left or was removed may be gone any moment: it keeps its vote no longer than it takes.
        // And with a single one the loss of a host stops all new addresses: that is no state to wait in.
        bool isUrgent = now.Length == 1 || now.Any(v => !nodes.ContainsKey(v));
        ImmutableArray<MemberId> voters = isUrgent || situation.SinceVoterChange >= rules.ChangePause
            ? Voters(situation, nodes, rules)
            : now;
        ImmutableArray<MemberId> spares = Spares(situation, nodes, voters, rules);
        var target = Configuration.Of(voters, learners: spares);
        return target.Equals(situation.Configuration)
            ? null
            : new VoterDecision(target, Explain(situation.Configuration, target));
    }

    private static ImmutableArray<MemberId> Voters(VoterSituation situation, Dictionary<MemberId, VoterNode> nodes, VoterRules rules)
    {
        ImmutableArray<MemberId> now = situation.Configuration.Voters;
        int wanted = VoterRules.VotersFor(situation.Nodes.Length);

        // The leader is never silent to itself; of the others those that answered last come first.
        MemberId[] sound =
        [
            .. now.Where(v => v == situation.Self || (nodes.TryGetValue(v, out VoterNode? node) && node.SilentFor < rules.VoterSilenceMax))
                .Where(nodes.ContainsKey)
                .OrderByDescending(v => v == situation.Self).ThenBy(v => nodes[v].SilentFor >= rules.HealthyWithin).ThenBy(v => v),
        ];
        MemberId[] spares = [.. situation.Configuration.Learners.Where(l => nodes.TryGetValue(l, out VoterNode? node) && IsPromotable(node, now.Length, rules))];
        int size = now.Length;
        if (wanted < now.Length)
        {
            size = wanted;
        }
        else
        {
            int reachable = Math.Min(wanted, sound.Length + spares.Length);
            int odd = reachable - (1 - (reachable % 2));
            size = Math.Max(size, odd);
        }

        // Whoever cannot be replaced stays, silent or gone: the number of voters is what keeps two halves apart.
        ImmutableArray<MemberId> chosen = [.. sound.Concat(spares).Concat(now.Except(sound).OrderByDescending(nodes.ContainsKey).ThenBy(v => v)).Take(size)];
        bool isHealthy = chosen.Count(v => v == situation.Self || (nodes.TryGetValue(v, out VoterNode? node) && node.SilentFor < rules.HealthyWithin)) > size / 2;
        return isHealthy ? chosen : now;
    }

    private static bool IsPromotable(VoterNode node, int voters, VoterRules rules) =>
        node.IsReady
        && node.SilentFor < rules.HealthyWithin
        && node.CaughtUpFor >= (voters == 1 ? rules.FirstSteadyFor : rules.SteadyFor);

    private static ImmutableArray<MemberId> Spares(
        VoterSituation situation, Dictionary<MemberId, VoterNode> nodes, ImmutableArray<MemberId> voters, VoterRules rules)
    {
        // Who votes and is to stop voting holds the log already, and so does who is a spare now.
        IEnumerable<MemberId> holding = situation.Configuration.Learners.Concat(situation.Configuration.Voters)
            .Where(m => !voters.Contains(m) && nodes.ContainsKey(m));
        MemberId[] heard = [.. holding.Where(m => nodes[m].SilentFor < rules.SpareSilenceMax)];
        IEnumerable<MemberId> fresh = situation.Nodes
            .Where(n => n.IsReady && !voters.Contains(n.Member) && !situation.Configuration.Members.Contains(n.Member))
            .OrderBy(n => n.Tries).ThenBy(n => n.Member)
            .Select(n => n.Member);
        return [.. heard.Concat(fresh).Concat(holding.Except(heard)).Take(rules.SparesMax)];
    }

    private static string Explain(Configuration from, Configuration to)
    {
        List<string> parts = [];
        Add("votes", to.Voters.Except(from.Voters));
        Add("no longer votes", from.Voters.Except(to.Voters));
        Add("receives the log", to.Learners.Except(from.Learners).Except(from.Voters));
        Add("no longer receives the log", from.Members.Except(to.Members).Except(from.Voters));
        return string.Join("; ", parts);

        void Add(string what, IEnumerable<MemberId> members)
        {
            if (members.Any())
            {
                parts.Add($"{string.Join(", ", members)} {what}");
            }
        }
    }
}
