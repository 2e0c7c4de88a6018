using Kcore.SystemTests.Lab;
using Kcore.TestKit.Faults;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Consensus;

/// <summary>The short course of what <c>bench/consensus-faults</c> does at length.</summary>
public sealed class FaultTests(ITestOutputHelper output)
{
    [SkippableFact]
    public async Task Under_faults_every_answer_fits_one_order_no_address_is_given_twice_and_none_is_left_behind()
    {
        Requires.Kernel();
        await using NodeLan lan = await NodeLan.CreateAsync(3);
        await using SmallDisks disks = await SmallDisks.MountAsync(lan);
        foreach (LanNode node in lan.Nodes)
        {
            node.Start();
        }

        await FaultCourse.VotersAsync(lan, 3);
        await using var course = new FaultCourse(lan, disks.Disks, new Random(1), output.WriteLine);
        PhaseReport report = await course.RunAsync([Fault.Kill, Fault.FillDisk, Fault.Mute, Fault.Pause, Fault.HangDisk, .. FaultCourse.Possible.Where(f => f == Fault.SlowDisk)], TimeSpan.FromSeconds(2.5), clients: 8, operations: 200);
        output.WriteLine($"{report.Operations} operations, {report.Granted} addresses, {report.Late} of them learnt late, {report.Released} released, {course.Restarts} restarts");
        Assert.Empty(report.Violations);
        Assert.True(report.Granted >= 60, $"only {report.Granted} addresses were given");
        Assert.True(report.Released >= 20, $"only {report.Released} addresses were given back");
    }
}
