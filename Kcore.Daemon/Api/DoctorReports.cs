using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Dataplane.Paths;
using Kcore.Daemon.Reconciliation;

namespace Kcore.Daemon.Api;

/// <summary>
/// Goes through what this node knows of itself, and of the paths to its peers, and says what is wrong and what to do. It sends
/// nothing: the paths are probed all the time.
/// </summary>
internal sealed class DoctorReports(
    StatusReports statuses, PlanReports plans, DataplaneReports kernel, CatalogHub catalog, Published<Underlay> underlay, Published<PathSights> paths)
{
    public async Task<DoctorReport> ReportAsync(CancellationToken token)
    {
        StatusReport status = statuses.Report();
        ReconcileStatus pass = kernel.Status.Current;
        ImmutableArray<DoctorCheck> checks =
        [
            Failed("cluster", status.Phase == "member" ? [] : [$"this node is {status.Phase}"], "kctl status"),
            Failed("members", [.. status.Members.Where(m => m.Status is "suspect" or "dead").Select(m => $"{m.Name} ({m.Address}) is {m.Status}"), .. statuses.Isolation()], "look at kcored there; UDP and TCP 7946 both ways"),
            Failed("quorum", status.Consensus.Quorum ? [] : [$"no quorum; missing: {string.Join(", ", status.Consensus.Missing)}"], "kctl cluster status"),
            Failed("log", [.. statuses.LogFaults()], "df /var/lib/kcore and the kernel's log; a newer version's log needs kcored upgraded here; kctl cluster status shows who decides meanwhile"),
            Failed("catalog", [.. status.DigestDiffers.Select(d => $"it differs from that of {d}"), .. statuses.CatalogFaults()], "kctl status on the nodes named; df /var/lib/kcore"),
            Failed("networks", status.Dataplane.Refusals, "kctl plan"),
            await DriftAsync(token),
            Failed("firewall", [.. pass.Blocks.Select(b => b.ToString())], "the command of each finding, made to last in the firewall's own configuration"),
            Paths(),
            Failed("fights", [.. kernel.Fights.Select(f => f.ToString())], "tell that program to leave kbr-*, kb-*, vxlan1*, tap-*, kv-* and the tables kcore alone"),
            Warning("spoofing", [.. pass.Drops.Select(d => $"NIC {d.Nic} on {d.Network}: {d.Count.Packets} frames dropped ({d.Reason.ToString().ToLowerInvariant()})")], "kctl get nics -o wide; a guest that may do so is attached with --allow-spoofing"),
            Warning("host", pass.Advisories, null),
        ];
        return new DoctorReport(status.Node, checks.All(c => c.Result != "failed"), checks);
    }

    /// <summary>One finding for each peer, with what helps there.</summary>
    private DoctorCheck Paths()
    {
        PathSights sights = paths.Current;
        if (sights.Obstacle is { } obstacle)
        {
            return Warning("paths", [obstacle], "the service needs CAP_NET_RAW, and an IPv4 address to advertise");
        }

        CatalogSnapshot now = catalog.Current.Current;
        Underlay link = underlay.Current;
        return Failed(
            "paths",
            [
                .. sights.Paths.OrderBy(p => p.Key)
                    .Select(p => PathFinding.Of(now.NameOf(p.Key), p.Value, link))
                    .OfType<PathFinding>()
                    .Select(f => f.ToString()),
            ],
            "kctl describe node NODE; looked at again twice a minute");
    }

    private async Task<DoctorCheck> DriftAsync(CancellationToken token)
    {
        try
        {
            Contracts.PlanReport plan = await plans.ReportAsync(token);
            return Failed("drift", [.. plan.Steps.Where(s => s.Op != "held").Select(s => $"{s.Op} {s.Object} {s.Device} {s.Detail}")], "kctl plan; it is repaired at once, so look again");
        }
        catch (RefusedException e)
        {
            return Failed("drift", [e.Message], "kctl status");
        }
    }

    private static DoctorCheck Failed(string name, ImmutableArray<string> findings, string next) => Check(name, "failed", findings, next);

    private static DoctorCheck Warning(string name, ImmutableArray<string> findings, string? next) => Check(name, "warning", findings, next);

    private static DoctorCheck Check(string name, string otherwise, ImmutableArray<string> findings, string? next) =>
        findings.IsEmpty ? new DoctorCheck(name, "ok", []) : new DoctorCheck(name, otherwise, findings, next);
}
