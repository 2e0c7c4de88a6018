using System.Collections.Frozen;
using Kcore.Daemon.Dataplane.Apply;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Dataplane.Plan;
using Kcore.Netlink;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Packet;
using Kcore.Netlink.Route;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Dataplane;

/// <summary>
/// Keeps the kernel as the intent says, the one owner of our devices. It looks when the intent changes, when the
/// kernel reports a change (when changes come thick, 5 ms are waited for more), and every 30 s in any case; each look reads and compares
/// everything, but for those that nothing but changes of forwarding entries led to: these read the entries of the devices concerned. Stopping it changes nothing in the kernel.
/// </summary>
internal sealed partial class DataplaneLoop(
    HomeNamespace home,
    SysctlJournal journal,
    UplinkJournal uplinks,
    IDataplaneObserver observer,
    TimeProvider time,
    Random random,
    ILogger<DataplaneLoop> logger)
{
    /// <summary>
    /// A deleted bridge raises dozens of notifications, and a repair its own echoes: together they are one look. The first
    /// after a while is looked at without waiting, for a single entry that is gone costs frames at once.
    /// </summary>
    private static readonly TimeSpan _coalescing = TimeSpan.FromMilliseconds(5);

    private static readonly TimeSpan _busy = TimeSpan.FromMilliseconds(20);

    private static readonly TimeSpan _fullPass = TimeSpan.FromSeconds(30);

    /// <summary>What failed or was refused is tried again sooner: a missing namespace raises no notification when it comes.</summary>
    private static readonly TimeSpan _retry = TimeSpan.FromSeconds(2);

    /// <summary>Other people's firewalls change in bursts, and reading them starts a process.</summary>
    private static readonly TimeSpan _foreignPause = TimeSpan.FromSeconds(1);

    private readonly NftProcess _nft = new(home, time);
    private readonly AnnouncementQueue _announcements = new();
    private readonly DataplaneInputs _inputs = new();
    private readonly FightTracker _fights = new();
    private readonly long _start = time.GetTimestamp();

    private (DataplaneIntent Intent, DesiredState Desired)? _derived;

    // What the last pass could not do: when it can be done later, that is no drift.
    private FrozenSet<(string Overlay, string? Nic)> _unsettled = [];
    private volatile ReconcileStatus _status = ReconcileStatus.None;
    private volatile ChangeFilter _filter = ChangeFilter.Everything;

    /// <summary>As of the last pass; swapped whole.</summary>
    public ReconcileStatus Status => _status;

    /// <summary>What the kernel should be from now on. The newest wins; may be called from anywhere.</summary>
    public void Intend(DataplaneIntent intent) => _inputs.Intend(intent);

    /// <summary>Looks at the kernel and says what would be done; writes nothing.</summary>
    /// <exception cref="DataplaneException">There is no intent yet, the kernel cannot be read, or too many ask.</exception>
    public Task<PlanReport> PlanAsync(CancellationToken cancellationToken) =>
        _inputs.AskForPlan().WaitAsync(cancellationToken);

    /// <summary>Runs until cancelled. Must run for anything else to happen.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        // Blocking netlink calls are short, but the caller's start is not theirs to delay.
        await Task.Yield();
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        Task listening = ListenAsync(ended.Token);
        try
        {
            await ReconcileAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping is how it ends; the kernel keeps what it has.
        }
        finally
        {
            await ended.CancelAsync();
            await listening;
            foreach (TaskCompletionSource<PlanReport> request in _inputs.Take().PlanRequests)
            {
                request.TrySetException(new DataplaneException("the data plane is stopping"));
            }
        }
    }

    private async Task ListenAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                using KernelMonitor monitor = home.OpenMonitor();
                // Whatever happened before it was open was not heard.
                _inputs.LookAtEverything();
                long? ours = null;
                await foreach (KernelChange change in monitor.ReadAsync(cancellationToken))
                {
                    if (change is KernelChange.Resync)
                    {
                        _inputs.LookAtEverything();
                    }
                    else if (change is KernelChange.Nftables { Table: not NftSkeleton.TableName })
                    {
                        _inputs.NoteForeign();
                    }
                    else if (change is KernelChange.Nftables)
                    {
                        ours ??= time.GetTimestamp();
                    }
                    else if (change is KernelChange.NftablesCommit commit)
                    {
                        // The end of a transaction says who made it, and only then is it worth a look.
                        if (ours is { } first)
                        {
                            _inputs.NotifyNft(first, _nft.IsOwn(commit.ProcessId) ? null : $"{commit.ProcessName} (process {commit.ProcessId})");
                        }

                        ours = null;
                    }
                    else if (!_filter.Concerns(change))
                    {
                        // Nothing of ours.
                    }
                    else if (change is KernelChange.Neighbour { Info: { Table: NeighbourTable.Fdb } entry })
                    {
                        _inputs.NotifyForwarding(time.GetTimestamp(), entry.LinkIndex);
                    }
                    else
                    {
                        _inputs.Notify(time.GetTimestamp());
                    }
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (NetlinkException e)
            {
                Log.MonitorFailed(logger, e);
                await Task.Delay(_retry, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task ReconcileAsync(CancellationToken stoppingToken)
    {
        using RouteSocket socket = home.OpenRoute();
        SysctlFiles sysctls = new(home, journal);
        using PacketSocket? packets = OpenPackets();
        using RulesetReader rulesets = new(home, _nft);
        DataplanePass pass = new(new KernelReader(socket, sysctls, uplinks), new StepExecutor(home, socket, sysctls, uplinks, rulesets), rulesets);
        DataplaneIntent? intent = null;
        TimeSpan passAt = TimeSpan.Zero;
        TimeSpan fullAt = TimeSpan.Zero;
        TimeSpan foreignRead = TimeSpan.MinValue;
        TimeSpan? foreignAt = null;
        TimeSpan passed = -_busy;
        while (true)
        {
            TimeSpan next = new[] { passAt, foreignAt ?? passAt, _announcements.Next ?? passAt }.Min();
            await _inputs.WaitAsync(next - time.GetElapsedTime(_start), time, stoppingToken);
            if (time.GetElapsedTime(_start) - passed < _busy)
            {
                await Task.Delay(_coalescing, time, stoppingToken);
            }

            InputSnapshot inputs = _inputs.Take();
            if (inputs.Everything || inputs.ForeignChanged || inputs.Changer is not null)
            {
                rulesets.Doubt();
            }

            intent = inputs.Intent ?? intent;
            try
            {
                await AnswerAsync(pass, intent, inputs, stoppingToken);
                TimeSpan now = time.GetElapsedTime(_start);
                foreignAt = inputs.ForeignChanged ? foreignAt ?? Later(foreignRead + _foreignPause, now) : foreignAt;
                if (intent is not null && (passAt <= now || foreignAt <= now || inputs.CallsForPass))
                {
                    bool full = inputs.Everything || fullAt <= now;
                    bool foreign = full || foreignAt <= now;

                    // A look that is due for another reason is one at everything.
                    IReadOnlyCollection<int>? only = !foreign && passAt > now && inputs is { Intent: null, NftChanged: false } ? inputs.Forwarding : null;
                    TimeSpan wait = await PassAsync(pass, intent, Desired(intent), inputs, full, foreign, only, stoppingToken);
                    passed = now = time.GetElapsedTime(_start);
                    (foreignAt, foreignRead) = foreign ? (null, now) : (foreignAt, foreignRead);
                    fullAt = full ? now + (_fullPass * (0.9 + (0.2 * random.NextDouble()))) : fullAt;

                    // What waits for a look at everything does not wait longer because of looks at something.
                    TimeSpan due = now + wait < fullAt ? now + wait : fullAt;
                    passAt = only is not null && passAt < due ? passAt : due;
                }
                else if (intent is null)
                {
                    passAt = now + _fullPass;
                    foreignAt = null;
                }

                Announce(socket, packets);
            }
            finally
            {
                // Only what a cancellation left unanswered is still open here.
                Answer(inputs, new DataplaneException("the data plane is stopping"));
            }
        }
    }

    /// <summary>Null where the kernel has none: nothing but announcements needs it.</summary>
    private PacketSocket? OpenPackets()
    {
        try
        {
            return home.Run(PacketSocket.Open);
        }
        catch (NetlinkException e)
        {
            Log.NoAnnouncements(logger, e.Message);
            return null;
        }
    }

    private static TimeSpan Later(TimeSpan a, TimeSpan b) => a > b ? a : b;

    /// <summary>Frames that are due go out; one that is lost costs a cache its freshness and nothing else.</summary>
    private void Announce(RouteSocket socket, PacketSocket? packets)
    {
        foreach (Announcement announcement in _announcements.Due(time.GetElapsedTime(_start)))
        {
            try
            {
                if (packets is not null && socket.FindLink(announcement.Bridge) is { IsUp: true } bridge)
                {
                    packets.Send(bridge.Index, announcement.Frame());
                }
            }
            catch (NetlinkException e)
            {
                Log.NotAnnounced(logger, announcement.Bridge, e.Message);
            }
        }
    }

    /// <summary>What an intent means does not change, and the kernel is compared with it far more often than a new one comes.</summary>
    private DesiredState Desired(DataplaneIntent intent)
    {
        if (!ReferenceEquals(intent, _derived?.Intent))
        {
            _derived = (intent, DesiredStateBuilder.From(intent));
        }

        return _derived!.Value.Desired;
    }

    /// <summary>Returns how long until the next look is needed, the periodic one aside.</summary>
    private async Task<TimeSpan> PassAsync(
        DataplanePass pass, DataplaneIntent intent, DesiredState desired, InputSnapshot inputs, bool full, bool foreign, IReadOnlyCollection<int>? only,
        CancellationToken cancellationToken)
    {
        bool first = ReferenceEquals(_status, ReconcileStatus.None);
        long started = time.GetTimestamp();
        await home.Making.WaitAsync(cancellationToken);
        try
        {
            TimeSpan now = time.GetElapsedTime(_start);
            bool drift = inputs.Intent is null && !first;
            List<(StepResult Step, int Count)> made = [];
            PassResult result = await pass.RunAsync(
                desired,
                readNft: full || inputs.NftChanged,
                readForeign: foreign,
                step => inputs.Intent is null ? _fights.AllowedAt(Key(step), now) : now,
                // Counted at once: whoever is quick enough to undo a repair within the pass must not have it repeated at full speed.
                step => made.Add((step, drift ? _fights.Note(Key(step.Step), now) : 0)),
                now,
                cancellationToken,
                only);
            Report(made, drift, inputs.FirstNotification, inputs.Changer);
            _announcements.Add(Announcements.After(made.Where(m => m.Step.Error is null).Select(m => m.Step.Step), intent), now);
            _fights.Forget(now);
            _filter = result.Filter;
            _unsettled = result.Unsettled;
            _status = result.ToStatus(intent, time.GetUtcNow(), time.GetElapsedTime(started));
            observer.Reconciled(_status);
            TimeSpan next = result.Failures.IsEmpty && result.Plan.Refusals.IsEmpty
                ? TimeSpan.MaxValue / 2
                : _retry;
            return result.NextAllowed is { } allowed && allowed - now < next ? allowed - now : next;
        }
        catch (Exception e) when (e is NetlinkException or DataplaneException or IOException)
        {
            Log.PassFailed(logger, e);
            _status = _status with { At = time.GetUtcNow(), Error = e.Message };
            observer.Reconciled(_status);
            return _retry;
        }
        finally
        {
            home.Making.Release();
        }
    }

    /// <summary>
    /// What comes back is counted also when it fails. An object on a device that was made anew is part of that repair.
    /// </summary>
    private void Report(List<(StepResult Step, int Count)> steps, bool drift, long? notified, string? changer)
    {
        HashSet<string> made = [.. steps.Select(r => r.Step.Step).OfType<DataplaneStep.CreateLink>().Select(s => s.Device)];
        foreach ((StepResult applied, int count) in steps)
        {
            string key = Key(applied.Step);
            bool repair = drift && !IsUnsettled(applied.Step.Origin);
            if (applied.Error is { } error)
            {
                Log.StepFailed(logger, key, applied.Step.Origin.Reason, error);
            }
            else if (repair && (applied.Step is DataplaneStep.CreateLink || !made.Contains(applied.Step.Device)))
            {
                observer.DriftRepaired(new DriftRepair(
                    key, applied.Step.Origin.Overlay, notified is { } at ? time.GetElapsedTime(at) : null, count,
                    applied.Step is DataplaneStep.ReplaceNft ? changer : null));
            }
        }
    }

    private bool IsUnsettled(Origin origin) =>
        _unsettled.Contains((origin.Overlay, origin.Nic))
        || _unsettled.Contains((origin.Overlay, null))
        || (origin.Overlay.Length == 0 && _unsettled.Count > 0);

    private static string Key(DataplaneStep step)
    {
        PlanLine line = PlanRenderer.Line(step);
        return line.Object == "nft" ? $"nft {line.Device}" : $"{line.Object} {line.Device} {line.Detail}";
    }

    private async Task AnswerAsync(
        DataplanePass pass, DataplaneIntent? intent, InputSnapshot inputs, CancellationToken cancellationToken)
    {
        if (inputs.PlanRequests.Count == 0)
        {
            return;
        }

        if (intent is null)
        {
            Answer(inputs, new DataplaneException("the data plane does not know yet what is wanted"));
            return;
        }

        try
        {
            DataplanePlan plan = await pass.PlanAsync(Desired(intent), cancellationToken);
            PlanReport report = new(plan, PlanRenderer.Lines(plan), PlanRenderer.Text(plan));
            foreach (TaskCompletionSource<PlanReport> request in inputs.PlanRequests)
            {
                request.TrySetResult(report);
            }
        }
        catch (Exception e) when (e is NetlinkException or DataplaneException or IOException)
        {
            Answer(inputs, new DataplaneException($"the kernel could not be read: {e.Message}", e));
        }
    }

    private static void Answer(InputSnapshot inputs, DataplaneException failure)
    {
        foreach (TaskCompletionSource<PlanReport> request in inputs.PlanRequests)
        {
            request.TrySetException(failure);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(5005, LogLevel.Warning, "NICs that arrive are not announced: {Cause}")]
        public static partial void NoAnnouncements(ILogger logger, string cause);

        [LoggerMessage(5004, LogLevel.Debug, "A NIC could not be announced on {Bridge}: {Cause}")]
        public static partial void NotAnnounced(ILogger logger, string bridge, string cause);

        [LoggerMessage(5001, LogLevel.Warning, "The kernel's notifications could not be heard; listening again in 2 s")]
        public static partial void MonitorFailed(ILogger logger, Exception cause);

        [LoggerMessage(5002, LogLevel.Error, "The kernel could not be read or changed; trying again in 2 s")]
        public static partial void PassFailed(ILogger logger, Exception cause);

        [LoggerMessage(5003, LogLevel.Warning, "{Step} ({Reason}) failed: {Error}")]
        public static partial void StepFailed(ILogger logger, string step, string reason, string error);
    }
}
