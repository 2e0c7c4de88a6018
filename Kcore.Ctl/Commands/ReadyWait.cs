using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Ctl.Client;
using Kcore.Ctl.Output;

namespace Kcore.Ctl.Commands;

/// <summary>
/// Waits until a network works on every live node.
/// </summary>
/// <param name="home">The one node the network is on; null for an overlay.</param>
/// <param name="everywhere">
/// No node was named. An overlay is then wanted on every live node that allows VXLAN, also on those that have not heard
/// of it yet and so are not in the description.
/// </param>
internal sealed class ReadyWait(Session session, string name, string? home, bool everywhere)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    private string _shown = "";

    /// <param name="Partial">Some node that is not alive is not ready either; nobody waits for it.</param>
    internal sealed record Outcome(NetworkDetail Network, byte[] Body, bool Partial);

    public Outcome Run(TimeSpan timeout)
    {
        Surroundings surroundings = session.Surroundings;
        long start = surroundings.Time.GetTimestamp();
        ImmutableArray<string> missing = [];
        while (true)
        {
            try
            {
                byte[] body = session.Client.Get(Paths.With(Paths.Network(name), "targetNode", home));
                NetworkDetail network = Replies.Read(body, Replies.Json.NetworkDetail);
                ImmutableArray<NetworkNode> nodes = [.. network.Nodes.OrEmpty().Where(n => n is not null)];
                missing = Missing(network, nodes);
                if (missing.IsEmpty && nodes.Any(n => n.State == "Ready"))
                {
                    return new Outcome(network, body, nodes.Any(n => n.State != "Ready"));
                }

                Progress(missing, nodes.Count(n => n.State == "Ready"), surroundings.Time.GetElapsedTime(start));
            }
            catch (CommandFailure failure) when (failure.ExitCode == ExitCode.NotReachable)
            {
                // A daemon that restarts for a moment does not undo what it accepted.
                missing = [$"kcored: {failure.Problem.Message}"];
            }
            catch (OperationCanceledException)
            {
                throw Interrupted();
            }

            if (surroundings.Time.GetElapsedTime(start) >= timeout)
            {
                throw new CommandFailure(
                    new Problem(
                        ErrorCode.Unavailable,
                        $"network '{name}' was created but is not ready everywhere after {timeout.TotalSeconds:0.#} s",
                        missing,
                        $"kctl describe network {name}"),
                    ExitCode.TimedOut);
            }

            surroundings.Pause(Interval);
            if (surroundings.Interrupted.IsCancellationRequested)
            {
                throw Interrupted();
            }
        }
    }

    private ImmutableArray<string> Missing(NetworkDetail network, ImmutableArray<NetworkNode> nodes)
    {
        IEnumerable<string> unready = nodes
            .Where(n => n.State != "Ready" && n.Health is "alive" or "suspect")
            .Select(n => n.Reason is null ? $"{n.Node}: {n.State}" : $"{n.Node}: {n.State}: {n.Reason}");
        if (!everywhere || !network.Overlay)
        {
            return [.. unready];
        }

        IEnumerable<string> unheard = Replies.ReadList(session.Client.Get(Routes.Nodes), Replies.Json.ImmutableArrayNodeSummary)
            .Where(m => m.Status == "alive" && !m.VxlanDisabled && nodes.All(n => n.NodeId != m.Id))
            .Select(m => $"{m.Name}: has not heard of it yet");
        return [.. unready, .. unheard];
    }

    private void Progress(ImmutableArray<string> missing, int ready, TimeSpan elapsed)
    {
        string waitingFor = string.Join(", ", missing);
        if (waitingFor != _shown)
        {
            _shown = waitingFor;
            session.Surroundings.Error.WriteLine(Printable.Of($"waiting for {waitingFor} ({ready} of {ready + missing.Length} ready, {elapsed.TotalSeconds:0} s)"));
        }
    }

    private CommandFailure Interrupted() => new(
        new Problem(ErrorCode.Unavailable, $"interrupted while waiting; network '{name}' was created and stays", [], $"kctl describe network {name}"),
        ExitCode.Interrupted);
}
