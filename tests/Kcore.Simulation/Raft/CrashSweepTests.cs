using System.Diagnostics;
using Kcore.TestKit.Disks;
using Xunit.Abstractions;

namespace Kcore.Simulation.Raft;

/// <summary>
/// One scenario (founding, growing to all members, allocations, releases, reads, snapshots, new segments), cut off right
/// before and right after every single write, sync, rename, deletion and directory sync of every member, with each pattern
/// of what survives. KCORE_RAFT_SWEEP=full runs every point of every size.
/// </summary>
public sealed class CrashSweepTests(ITestOutputHelper output)
{
    private static readonly bool IsFull = Environment.GetEnvironmentVariable("KCORE_RAFT_SWEEP") == "full";

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(5, 3)]
    public void A_power_cut_at_any_disk_operation_of_any_member_loses_nothing(int size, int stride)
    {
        long start = Stopwatch.GetTimestamp();
        int[] operations = GroupRun.WithCut(size, 0, 0, false, Survivors.None);
        (int Member, int At, bool IsAfter, Survivors Survivors)[] points =
        [
            .. from member in Enumerable.Range(1, size)
               from at in Enumerable.Range(1, operations[member - 1])
               from isAfter in new[] { false, true }
               from survivors in Enum.GetValues<Survivors>()
               select (member, at, isAfter, survivors),
        ];
        int run = 0;
        for (int i = 0; i < points.Length; i += IsFull ? 1 : stride)
        {
            (int member, int at, bool isAfter, Survivors survivors) = points[i];
            try
            {
                GroupRun.WithCut(size, member, at, isAfter, survivors);
                run++;
            }
            catch (Exception failure)
            {
                Assert.Fail($"{size} members, member {member} cut {(isAfter ? "after" : "before")} operation {at}, surviving {survivors}: {failure}");
            }
        }

        output.WriteLine(
            $"{size} members: {operations.Sum()} disk operations, {points.Length} crash points, {run} run in {Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s");
        Assert.True(operations.Min() > 60, "The scenario must do something on every disk.");
    }
}
