using Kcore.Daemon.Ipam;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Raft;
using Kcore.TestKit.Disks;

namespace Kcore.Simulation.Raft;

// What the daemon's loop and its storage thread do around the core, by hand and in virtual time.
internal sealed partial class SimulatedGroup
{
    private const int RoundsMax = 2000;

    /// <summary>How far a host's clock may run fast or slow, in microseconds per tick.</summary>
    public int ClockSkewMicros { get; set; }

    /// <summary>Slowest ordinary write, in microseconds.</summary>
    public int DiskMicrosMax { get; set; } = 2000;

    /// <summary>Writes in a thousand that take a hundred times as long.</summary>
    public int DiskSpikesPerMille { get; set; }

    /// <summary>Ticks in a thousand that come as three at once.</summary>
    public int TickBurstsPerMille { get; set; }

    /// <summary>Does something on a member if it still lives this life, when it is not paused.</summary>
    private void On(SimulatedMember member, MemberLife life, Action what)
    {
        if (member.Life != life)
        {
            return;
        }

        if (member.PausedUntil > Clock.Now)
        {
            Clock.After(member.PausedUntil - Clock.Now, () => On(member, life, what));
            return;
        }

        what();
        if (member.Life == life)
        {
            Advance(member, life);
        }
    }

    private void Tick(SimulatedMember member, MemberLife life)
    {
        if (member.Life != life)
        {
            return;
        }

        // The daemon's timer: ticks that would gather during a pause count once.
        long pause = Math.Max(0, member.PausedUntil - Clock.Now);
        Clock.After(pause + life.TickMicros, () => Tick(member, life));
        int count = Random.Next(1000) < TickBurstsPerMille ? 3 : 1;
        for (int i = 0; i < count; i++)
        {
            On(member, life, life.Node.Tick);
        }
    }

    private void Advance(SimulatedMember member, MemberLife life)
    {
        for (int round = 0; ; round++)
        {
            Ready ready = life.Node.TakeReady();
            if (ready.IsEmpty)
            {
                break;
            }

            if (round == RoundsMax)
            {
                throw new InvariantException($"{life.Node.Self} always has something more to do.");
            }

            foreach (RaftMessage message in ready.Messages)
            {
                if (!member.Shadow.Backs(message))
                {
                    throw new InvariantException($"I-8: {message} left before what it says was durable.");
                }

                Send(member, message);
            }

            if (ready.Batch is { } batch)
            {
                Record.NoteEntries(batch.Entries, life.Node.Self);
                life.Jobs.Enqueue(new DiskJob(batch, null, 0));
                StartJob(member, life);
            }

            if (ready.Restore is { } snapshot)
            {
                Restore(member, life, snapshot);
            }

            foreach (RaftEntry entry in ready.Committed)
            {
                // Before the commit is looked at, the leader's own event must have been checked.
                Observe(member, life);
                Apply(life, entry);
            }

            AnswerReads(life, ready);
            TakeSnapshotWhenDue(member, life);
        }

        Observe(member, life);
    }

    private void Apply(MemberLife life, RaftEntry entry)
    {
        if (entry.Index != life.Applied + 1)
        {
            throw new InvariantException($"I-7: {life.Node.Self} applied {entry.Index} after {life.Applied}.");
        }

        ReplicatedResult? result = entry.Kind == RaftEntryKind.Command ? life.State.Apply(entry.Index, entry.Data).Result : null;
        life.Applied = entry.Index;
        Record.NoteApplied(life.Node.Self, entry, result);
        if (life.Proposals.Remove((entry.Index, entry.Term), out Action<ReplicatedResult>? answer))
        {
            answer(result!);
        }
    }

    private void Restore(SimulatedMember member, MemberLife life, RaftSnapshot snapshot)
    {
        Record.NoteSnapshot(member.Id, snapshot.Index, snapshot.Data.ToArray(), isTaken: false);
        life.State.Restore(snapshot.Data);
        life.Applied = snapshot.Index;
    }

    private static void AnswerReads(MemberLife life, Ready ready)
    {
        foreach ((ulong token, bool isFresh) in ready.Reads.Select(t => (t, true)).Concat(ready.FailedReads.Select(t => (t, false))))
        {
            if (life.Reads.Remove(token, out Action<bool>? answer))
            {
                answer(isFresh);
            }
        }
    }

    private void TakeSnapshotWhenDue(SimulatedMember member, MemberLife life)
    {
        bool isDue = life.Applied >= life.Node.Snapshot.Index + (ulong)_profile.SnapshotEvery;
        if (life.IsSnapshotUnderWay || life.Node.IsInstalling || !isDue || life.Node.Fault != RaftFault.None)
        {
            return;
        }

        byte[] state = life.State.TakeSnapshot();
        Record.NoteSnapshot(member.Id, life.Applied, state, isTaken: true);
        RaftSnapshot snapshot = life.Node.DescribeSnapshot(life.Applied, state);
        life.IsSnapshotUnderWay = true;
        life.Jobs.Enqueue(new DiskJob(null, snapshot, snapshot.Index - Math.Min((ulong)_profile.KeptBehindSnapshot, snapshot.Index) + 1));
        StartJob(member, life);
    }

    private void StartJob(SimulatedMember member, MemberLife life)
    {
        if (life.IsDiskBusy || life.Jobs.Count == 0)
        {
            return;
        }

        life.IsDiskBusy = true;
        long micros = 100 + Random.Next(DiskMicrosMax);
        micros = Random.Next(1000) < DiskSpikesPerMille ? micros * 100 : micros;
        Clock.After(micros, () => FinishJob(member, life));
    }

    private void FinishJob(SimulatedMember member, MemberLife life)
    {
        if (member.Life != life)
        {
            return;
        }

        if (member.DiskHungUntil > Clock.Now)
        {
            Clock.After(member.DiskHungUntil - Clock.Now, () => FinishJob(member, life));
            return;
        }

        DiskJob job = life.Jobs.Dequeue();
        life.IsDiskBusy = false;
        try
        {
            if (job.Batch is { } batch)
            {
                member.Shadow.Begin(batch);
                life.Store.Write(batch);
                member.Shadow.Complete(member.Id);
            }
            else if (job.Snapshot is { } snapshot)
            {
                life.Store.SaveSnapshot(snapshot, job.KeepFrom);
            }
            else
            {
                life.Store.CheckSpace();
            }
        }
        catch (PowerCutException)
        {
            CutOff(member);
            return;
        }
        catch (DiskFullException) when (job.Snapshot is not null)
        {
            // It was not taken; tried again when more was applied.
            life.IsSnapshotUnderWay = false;
            StartJob(member, life);
            On(member, life, () => NoteSpace(member, life));
            return;
        }
        catch (IOException)
        {
            // Final for this instance; the daemon goes on without it until it is restarted.
            On(member, life, () => life.Node.Halt(RaftFault.DiskFailed));
            Clock.After(1_000_000, () => RestartAfterFault(member, life));
            return;
        }

        StartJob(member, life);
        On(member, life, () =>
        {
            NoteSpace(member, life);
            if (job.Batch is { } done)
            {
                life.Node.StorageAck(done.Id);
            }
            else if (job.Snapshot is { } saved)
            {
                life.IsSnapshotUnderWay = false;
                life.Node.Compact(saved, job.KeepFrom);
            }
        });
    }

    // A full disk is looked at again every half second.
    private void NoteSpace(SimulatedMember member, MemberLife life)
    {
        life.Node.SetStorageSpaceLow(life.Store.IsSpaceLow);
        if (life.Store.IsSpaceLow && !life.IsSpaceCheckPlanned)
        {
            life.IsSpaceCheckPlanned = true;
            Clock.After(500_000, () => On(member, life, () =>
            {
                life.IsSpaceCheckPlanned = false;
                life.Jobs.Enqueue(new DiskJob(null, null, 0));
                StartJob(member, life);
            }));
        }
    }

    /// <summary>What is left of the last write after a planned power cut hit it.</summary>
    public Survivors SurvivorsOfCut { get; set; } = Survivors.Random;

    private void CutOff(SimulatedMember member)
    {
        Crash(member, SurvivorsOfCut);
        Clock.After(200_000 + Random.Next(1_500_000), () => Boot(member));
    }

    private void RestartAfterFault(SimulatedMember member, MemberLife life)
    {
        if (member.Life == life)
        {
            // After a failed sync the kernel may have dropped any of the pages.
            Crash(member, Survivors.Random);
            Boot(member);
        }
    }
}
