using System.CommandLine;
using System.Reflection;
using Kcore.Contracts;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

/// <summary>What the serving node says about itself.</summary>
internal static class NodeViews
{
    public static Command BuildStatus(Func<ParseResult, Session> open)
    {
        var command = new Command("status", "Show this node's view of the cluster; exits with 9 when something is degraded.");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            byte[] body = session.Client.Get(Routes.Status);
            StatusReport status = Replies.Read(body, Replies.Json.StatusReport);
            session.Print(body, Replies.Json.StatusReport, StatusText.Write, name: null);
            return (int)(status.Degraded.OrEmpty().IsEmpty ? ExitCode.Done : ExitCode.Degraded);
        });
        return command;
    }

    public static Command BuildPlan(Func<ParseResult, Session> open)
    {
        var command = new Command("plan", "Show what the next pass over the kernel would change; exits with 10 when that is anything.");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            byte[] body = session.Client.Get(Routes.Plan);
            PlanReport plan = Replies.Read(body, Replies.Json.PlanReport);
            session.Print(
                body,
                Replies.Json.PlanReport,
                (output, report) => output.WriteLine(Printable.Lines(report.Text).TrimEnd()),
                name: null);
            return (int)(plan.Steps.OrEmpty().IsEmpty && plan.Refusals.OrEmpty().IsEmpty ? ExitCode.Done : ExitCode.Differences);
        });
        return command;
    }

    public static Command BuildDoctor(Func<ParseResult, Session> open)
    {
        var command = new Command("doctor", "Go through everything this node knows of itself and say what is wrong; exits with 9 when a check failed.");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            byte[] body = session.Client.Get(Routes.Doctor);
            DoctorReport report = Replies.Read(body, Replies.Json.DoctorReport);
            session.Print(body, Replies.Json.DoctorReport, DoctorText.Write, name: null);
            return (int)(report.Healthy ? ExitCode.Done : ExitCode.Degraded);
        });
        return command;
    }

    public static Command BuildVersion(Func<ParseResult, Session> open)
    {
        var command = new Command("version", "Show the versions of kctl and of the kcored it talks to.");
        command.SetAction(parsed =>
        {
            Session session = open(parsed);
            if (session.IsText)
            {
                // Known without asking anybody, so it is said even when kcored is down.
                string own = typeof(NodeViews).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;
                session.Out.WriteLine($"kctl {own.Split('+')[0]}");
                session.Out.Flush();
            }

            session.Print(
                session.Client.Get(Routes.Version),
                Replies.Json.VersionInfo,
                (output, version) => output.WriteLine(Printable.Of($"kcored {version.Version} on node {version.Node}")),
                name: null);
            return (int)ExitCode.Done;
        });
        return command;
    }
}
