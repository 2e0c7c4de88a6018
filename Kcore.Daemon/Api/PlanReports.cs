using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Dataplane;

namespace Kcore.Daemon.Api;

/// <summary>The next pass over the kernel, told and not done.</summary>
internal sealed class PlanReports(DataplaneLoop kernel)
{
    public async Task<Contracts.PlanReport> ReportAsync(CancellationToken token)
    {
        try
        {
            Dataplane.PlanReport report = await kernel.PlanAsync(token);
            return new Contracts.PlanReport(
                [.. report.Lines.Where(l => l.Op != '!').Select(l => new PlanStep(Verb(l.Op), l.Object, l.Device, l.Detail, l.Reason, l.Disruptive))],
                [.. report.Lines.Where(l => l.Op == '!').Select(l => new PlanRefusal(l.Object, l.Device, l.Detail))],
                report.Text);
        }
        catch (DataplaneException e)
        {
            throw new RefusedException(ErrorCode.Unavailable, e.Message, next: "kctl status");
        }
    }

    private static string Verb(char op) => op switch
    {
        '+' => "add",
        '-' => "remove",
        '=' => "held",
        _ => "change",
    };
}
