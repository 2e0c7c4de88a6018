using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Dataplane.Plan;
using Kcore.Netlink;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;
using Kcore.Netlink.Tap;

namespace Kcore.Daemon.Dataplane.Apply;

/// <summary>
/// The only writer. Consecutive steps that are route messages go to the kernel in one send; a failing step does not
/// stop the others, and the caller compares again afterwards in any case.
/// </summary>
internal sealed class StepExecutor(HomeNamespace home, RouteSocket socket, SysctlFiles sysctls, UplinkJournal uplinks, RulesetReader rulesets)
{
    /// <summary>Deleting a device holds the kernel's network lock for tens of milliseconds, so few go at a time.</summary>
    private const int DeletesPerSend = 20;

    public async Task<List<StepResult>> ApplyAsync(
        DataplanePlan plan, ObservedState observed, CancellationToken cancellationToken)
    {
        List<StepResult> results = [];
        RouteMessages pending = new(observed.Indexes);
        foreach (DataplaneStep step in plan.Steps)
        {
            cancellationToken.ThrowIfCancellationRequested();
            switch (step)
            {
                case DataplaneStep.WriteSysctl or DataplaneStep.RestoreSysctl or DataplaneStep.ReplaceNft
                    or DataplaneStep.Enslave or DataplaneStep.ReleaseUplink
                    or DataplaneStep.ConfigureGuest or DataplaneStep.CreateLink { Link: Link.Tap or Link.Veth }
                    or DataplaneStep.ChangeLink { From: null }:
                    Flush(pending, results);
                    results.Add(new StepResult(step, await ApplyAloneAsync(step, pending, cancellationToken)));
                    break;
                default:
                    if (pending.Deletes == DeletesPerSend)
                    {
                        Flush(pending, results);
                    }

                    if (pending.Add(step) is { } impossible)
                    {
                        results.Add(new StepResult(step, impossible));
                    }

                    break;
            }
        }

        Flush(pending, results);
        return results;
    }

    private void Flush(RouteMessages pending, List<StepResult> results)
    {
        if (pending.IsEmpty)
        {
            return;
        }

        BatchResult outcome = socket.Execute(pending.Batch);
        results.AddRange(pending.Results(outcome));
        pending.Clear();
    }

    /// <summary>Returns what went wrong, or null.</summary>
    private async Task<string?> ApplyAloneAsync(DataplaneStep step, RouteMessages names, CancellationToken cancellationToken)
    {
        try
        {
            switch (step)
            {
                case DataplaneStep.WriteSysctl s:
                    sysctls.Write(s.Sysctl);
                    return null;
                case DataplaneStep.RestoreSysctl s:
                    sysctls.Restore(s.Path);
                    return null;
                case DataplaneStep.ReplaceNft s:
                    await rulesets.ReplaceAsync(s.Tables, s.Observed, cancellationToken);
                    return null;
                case DataplaneStep.Enslave s:
                    uplinks.Remember(s.Device, s.WasUp);
                    return Change(s.Index, new LinkChange { Master = names.IndexOf(s.Port.Bridge), Up = true });
                case DataplaneStep.ReleaseUplink s:
                    return Release(s);
                case DataplaneStep.ConfigureGuest s:
                    GuestWriter.Configure(s.Guest, s.Faults, names.IndexOf(s.Guest.HostDevice));
                    return null;
                case DataplaneStep.CreateLink { Link: Link.Veth veth, Guest: { } guest }:
                    return CreatePair(veth, guest, names);
                case DataplaneStep.CreateLink { Link: Link.Tap tap }:
                    return MarkTap(tap, names);
                case DataplaneStep.ChangeLink { To: Link.Tap tap }:
                    return MarkTap(tap, names);
                default:
                    throw new InvalidOperationException($"step {step.GetType().Name} is not one to do alone");
            }
        }
        catch (Exception e) when (e is NetlinkException or DataplaneException or IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }

    private string? Change(int index, LinkChange change)
    {
        RouteBatch batch = new();
        batch.ChangeLink(index, change);
        return socket.Execute(batch).ErrorOf(0)?.ToString();
    }

    /// <summary>Forgotten only when it is done, so that a crash in between leaves it to be done.</summary>
    private string? Release(DataplaneStep.ReleaseUplink step)
    {
        LinkChange change = new() { Master = step.Port ? 0 : null, Up = step.Lower ? false : null };
        string? error = step.Index is { } index && change != new LinkChange() ? Change(index, change) : null;
        if (error is null)
        {
            uplinks.Forget(step.Name);
        }

        return error;
    }

    /// <summary>
    /// Makes the TAP, or finds the one that is there and that nobody has open (the kernel answers EBUSY otherwise), and
    /// marks it. Between the two it is nobody's: the next pass takes it over.
    /// </summary>
    private string? MarkTap(Link.Tap tap, RouteMessages names)
    {
        home.Run(() =>
        {
            TapDevice.Create(tap.Name);
            return true;
        });
        LinkInfo? made = socket.FindLink(tap.Name);
        if (made is null)
        {
            return $"the TAP {tap.Name} went away while it was made";
        }

        names.Learn(tap.Name, made.Index);
        RouteBatch batch = new();
        batch.ChangeLink(made.Index, new LinkChange
        {
            Mtu = tap.Mtu,
            Group = KcoreMark.LinkGroup,
            Master = names.IndexOf(tap.Master!),
            Alias = tap.Alias,
            Up = tap.Up,
        });
        return socket.Execute(batch).ErrorOf(0)?.ToString();
    }

    private string? CreatePair(Link.Veth veth, GuestInterface guest, RouteMessages names)
    {
        using NetworkNamespace ns = NetworkNamespace.Open(guest.NamespacePath);
        int index = names.Reserve();
        RouteBatch batch = new();
        batch.CreateVeth(new VethSpec
        {
            Name = veth.Name,
            Index = index,
            Master = names.IndexOf(veth.Master!),
            Mtu = veth.Mtu,
            Up = veth.Up,
            PeerName = guest.Name,
            PeerMac = guest.Mac,
            PeerMtu = guest.Mtu,
            PeerNamespace = ns,
        });
        batch.ChangeLink(index, new LinkChange { Alias = veth.Alias });
        BatchResult outcome = socket.Execute(batch);
        if (outcome.ErrorOf(0) is { } error)
        {
            return error.ToString();
        }

        names.Learn(veth.Name, index);
        return outcome.ErrorOf(1)?.ToString();
    }
}
