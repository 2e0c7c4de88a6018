using Kcore.Raft;
using Kcore.TestKit.Disks;

namespace Kcore.Simulation.Raft;

/// <summary>
/// What goes wrong. Each run draws which kinds of faults there are at all and how often (a swarm of different menus finds
/// more than one menu with everything on it: Groce et al., ISSTA 2012).
/// </summary>
internal sealed class FaultMenu
{
    private readonly SimulatedGroup _group;
    private readonly List<(int Weight, Action Happen)> _menu = [];
    private readonly int _everyMicros;
    private bool _isOver;

    public FaultMenu(SimulatedGroup group)
    {
        _group = group;
        Random random = group.Random;
        _everyMicros = 50_000 + random.Next(600_000);
        Offer(Crash, Kill, CutPower, Pause, HangDisk, SplitInTwo, CutOneWay, CutOneLink, HealNetwork, FailSyncs, FailWrites, FillDisk, Wipe, FlipBit);
        group.LossPerMille = random.Next(3) == 0 ? random.Next(150) : 0;
        group.DoublesPerMille = random.Next(3) == 0 ? random.Next(100) : 0;
        group.StragglersPerMille = random.Next(3) == 0 ? random.Next(60) : 0;
        group.ForeignPerMille = random.Next(4) == 0 ? 30 : 0;
        group.ClockSkewMicros = random.Next(3) == 0 ? 20_000 : 0;
        group.TickBurstsPerMille = random.Next(4) == 0 ? 20 : 0;
        group.DiskMicrosMax = random.Next(3) == 0 ? 30_000 : 2000;
        group.DiskSpikesPerMille = random.Next(4) == 0 ? 10 : 0;
        group.NetworkMicrosMax = random.Next(4) == 0 ? 40_000 : 1500;
    }

    /// <summary>Faults that happened.</summary>
    public int Count { get; private set; }

    public void Start() => _group.Clock.After(_everyMicros, Happen);

    /// <summary>Repairs everything: nothing goes wrong from now on.</summary>
    public void End()
    {
        _isOver = true;
        _group.LossPerMille = _group.DoublesPerMille = _group.StragglersPerMille = _group.ForeignPerMille = 0;
        _group.TickBurstsPerMille = _group.DiskSpikesPerMille = 0;
        _group.DiskMicrosMax = 2000;
        _group.NetworkMicrosMax = 1500;
        _group.HealNetwork();
        foreach (SimulatedMember member in _group.Members)
        {
            Repair(member);
            member.PausedUntil = member.DiskHungUntil = 0;
            if (member.IsDiskLost)
            {
                _group.Wipe(member);
            }

            if (member.Life is { Node.Fault: not RaftFault.None } halted)
            {
                HandleFault(member, halted.Node.Fault);
            }

            _group.Boot(member);
        }
    }

    private static void Repair(SimulatedMember member)
    {
        member.Disk.FailSyncs = member.Disk.FailWrites = member.Disk.FailReads = false;
        member.Disk.CapacityBytes = long.MaxValue;
        member.Disk.PowerCutAt = 0;
    }

    private void HandleFault(SimulatedMember member, RaftFault fault)
    {
        if (fault != RaftFault.DiskFailed)
        {
            throw new InvariantException($"P17: {member.Id} on an honest disk says {fault}.");
        }

        _group.Crash(member, Survivors.Random);
    }

    private void Offer(params Action[] faults)
    {
        foreach (Action fault in faults)
        {
            if (_group.Random.Next(3) == 0)
            {
                _menu.Add((1 + _group.Random.Next(8), fault));
            }
        }
    }

    private void Happen()
    {
        if (_isOver || _menu.Count == 0)
        {
            return;
        }

        _group.Clock.After((_everyMicros / 2) + _group.Random.Next(_everyMicros), Happen);
        int dice = _group.Random.Next(_menu.Sum(item => item.Weight));
        foreach ((int weight, Action happen) in _menu)
        {
            dice -= weight;
            if (dice < 0)
            {
                Count++;
                happen();
                return;
            }
        }
    }

    private SimulatedMember Any() => _group.Members[_group.Random.Next(_group.Members.Length)];

    private void BackLater(SimulatedMember member) =>
        _group.Clock.After(_group.Random.Next(2_500_000), () => _group.Boot(member));

    private void Crash()
    {
        SimulatedMember member = Any();
        if (member.Life is not null)
        {
            _group.Crash(member, (Survivors)_group.Random.Next(5));
            BackLater(member);
        }
    }

    private void Kill()
    {
        SimulatedMember member = Any();
        if (member.Life is not null)
        {
            _group.Kill(member);
            BackLater(member);
        }
    }

    // In the middle of one of the next operations, also of a boot.
    private void CutPower()
    {
        SimulatedMember member = Any();
        _group.SurvivorsOfCut = (Survivors)_group.Random.Next(5);
        member.Disk.IsCutAfter = _group.Random.Next(2) == 0;
        member.Disk.PowerCutAt = member.Disk.Operations + 1 + _group.Random.Next(8);
    }

    private void Pause() => Any().PausedUntil = _group.Clock.Now + _group.Random.Next(4_000_000);

    private void HangDisk() => Any().DiskHungUntil = _group.Clock.Now + _group.Random.Next(4_000_000);

    private void SplitInTwo()
    {
        int[] side = [.. _group.Members.Select(_ => _group.Random.Next(2))];
        foreach (SimulatedMember from in _group.Members)
        {
            foreach (SimulatedMember to in _group.Members.Where(to => side[to.Number - 1] != side[from.Number - 1]))
            {
                _group.Cut(from.Number, to.Number);
            }
        }
    }

    private void CutOneWay()
    {
        (SimulatedMember from, SimulatedMember to) = (Any(), Any());
        if (from != to)
        {
            _group.Cut(from.Number, to.Number);
        }
    }

    private void CutOneLink()
    {
        (SimulatedMember a, SimulatedMember b) = (Any(), Any());
        if (a != b)
        {
            _group.Cut(a.Number, b.Number);
            _group.Cut(b.Number, a.Number);
        }
    }

    private void HealNetwork() => _group.HealNetwork();

    private void FailSyncs()
    {
        SimulatedMember member = Any();
        member.Disk.FailSyncs = true;
        _group.Clock.After(_group.Random.Next(1_000_000), () => Repair(member));
    }

    private void FailWrites()
    {
        SimulatedMember member = Any();
        member.Disk.FailWrites = true;
        _group.Clock.After(_group.Random.Next(1_000_000), () => Repair(member));
    }

    private void FillDisk()
    {
        SimulatedMember member = Any();
        member.Disk.CapacityBytes = member.Disk.UsedBytes + _group.Random.Next(8000);
        _group.Clock.After(1_000_000 + _group.Random.Next(4_000_000), () => Repair(member));
    }

    // One at a time, and only when everybody else who votes has a disk: more would be the loss of a majority.
    private bool MayLose(SimulatedMember member)
    {
        if (_group.Leader?.Life is not { } life || !life.Node.IsConfigurationCommitted || life.Node.Configuration.IsJoint)
        {
            return false;
        }

        // Whoever is behind may still believe in another configuration, in which this one would be missed more.
        Configuration configuration = life.Node.Configuration;
        bool isAgreed = _group.Members.All(other => other.Life is { Node: var node }
            && node.Term == life.Node.Term && node.ConfigurationIndex == life.Node.ConfigurationIndex);
        bool isEveryVoterThere = configuration.Voters.All(voter => Array.Exists(_group.Members, other => other.Id == voter && !other.IsDiskLost && !other.Disk.IsDamaged));
        return isAgreed && isEveryVoterThere && (configuration.Voters.Length >= 3 || !configuration.IsVoter(member.Id));
    }

    private void Wipe()
    {
        SimulatedMember member = Any();
        if (MayLose(member))
        {
            _group.Wipe(member);
            BackLater(member);
        }
    }

    // In the log, where a verdict must follow, or the copy of a snapshot, which there are two of.
    private void FlipBit()
    {
        SimulatedMember member = Any();
        if (!MayLose(member))
        {
            return;
        }

        _group.Kill(member);
        string[] names = [.. member.Disk.List().Where(name => name.StartsWith("segment", StringComparison.Ordinal) || name.StartsWith("snapshot", StringComparison.Ordinal))];
        string name = names[_group.Random.Next(names.Length)];
        byte[] content = member.Disk.Read(name);
        int[] used = [.. Enumerable.Range(0, content.Length).Where(i => content[i] != 0)];
        member.Disk.FlipBit(name, used[_group.Random.Next(used.Length)]);
        _group.Boot(member);
        if (member.IsDiskLost)
        {
            _group.Wipe(member);
            BackLater(member);
        }
    }
}
