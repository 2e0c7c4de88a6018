using Kcore.Raft;

namespace Kcore.Simulation.Raft;

/// <summary>Whoever decides who votes: changes the group at random while things go wrong, and puts it in order afterwards.</summary>
internal sealed class Operator(SimulatedGroup group)
{
    /// <summary>Time between two looks, in microseconds.</summary>
    public int EveryMicros { get; set; } = 400_000;

    /// <summary>True to leave everybody a voter, false to move voters, learners and leadership about.</summary>
    public bool IsCalm { get; set; } = true;

    public int Transfers { get; private set; }

    public int Changes { get; private set; }

    public void Start() => group.Clock.After(EveryMicros, Look);

    private void Look()
    {
        group.Clock.After((EveryMicros / 2) + group.Random.Next(EveryMicros), Look);
        if (group.Leader is not { } leader || group.Members.Any(member => member.Id.IsNone))
        {
            return;
        }

        // Through the leader's own host, so that it happens as an event of its own.
        group.Hop(leader, leader, life =>
        {
            if (!IsCalm && group.Random.Next(4) == 0)
            {
                MemberId target = group.Members[group.Random.Next(group.Members.Length)].Id;
                Transfers += life.Node.Transfer(target) == TransferOutcome.Started ? 1 : 0;
                return;
            }

            Configuration wanted = IsCalm ? Configuration.Of(group.Members.Select(member => member.Id)) : Draw();
            Changes += life.Node.ProposeConfiguration(wanted, out _) == ProposeOutcome.Appended ? 1 : 0;
        });
    }

    // Of those whose disk is there: an odd number of voters, or now and then an even one, and learners.
    private Configuration Draw()
    {
        MemberId[] living = [.. group.Members.Where(member => !member.IsDiskLost && !member.Disk.IsDamaged).Select(member => member.Id)];
        group.Random.Shuffle(living);
        int voters = Math.Min(living.Length, group.Random.Next(5) == 0 ? 2 : (2 * group.Random.Next((living.Length + 1) / 2)) + 1);
        return Configuration.Of(living.Take(voters), learners: living.Skip(voters).Where(_ => group.Random.Next(2) == 0));
    }
}
