using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Plan;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>Behaviour 115: what a move is to the kernels of the nodes concerned.</summary>
public sealed class ArrivalTests
{
    private static readonly LocalNicIntent Coming = Intents.Tap("web-02", 2) with { Arriving = true };

    [Fact]
    public void A_prepared_NIC_has_its_device_and_nothing_leads_to_it_or_gets_out_of_it()
    {
        DesiredState desired = DesiredStateBuilder.From(Intents.With(Intents.Prod with { LocalNics = [Coming with { AllowSpoofing = true }] }));

        Assert.Contains(desired.Links, l => l.Value is Link.Tap { Up: true } tap && tap.Name == Coming.Device);
        Assert.True(Assert.Single(desired.Ports, p => p.Value.Device == Coming.Device).Value.Locked);
        Assert.DoesNotContain(desired.BridgeEntries, e => e.Value.Port == Coming.Device);
        Assert.Contains(desired.TunnelEntries, e => e.Value.Mac.Equals(Coming.Mac) && e.Value.Destination.Equals(Intents.Vtep(2)));
        Assert.Empty(desired.Refusals);
    }

    [Fact]
    public void Taking_it_up_moves_the_entry_to_its_port_in_place_and_deletes_none_of_the_bridges()
    {
        ModelKernel kernel = Applied(Intents.With(Intents.Prod with { LocalNics = [Coming] }));
        DataplanePlan plan = Plan(kernel, Intents.With(Intents.Prod with { LocalNics = [Coming with { Arriving = false }], RemoteNics = [] }));

        Assert.Contains(plan.Steps, s => s is DataplaneStep.SetBridgeEntry { Entry: { } entry } && entry.Port == Coming.Device && entry.Mac.Equals(Coming.Mac));
        Assert.DoesNotContain(plan.Steps, s => s is DataplaneStep.DeleteBridgeEntry or DataplaneStep.DeleteNeighbour or DataplaneStep.DeleteTunnelEntry { AlsoFromBridge: true });
        Assert.DoesNotContain(plan.Steps, s => s is DataplaneStep.CreateLink or DataplaneStep.DeleteLink or DataplaneStep.SetNeighbour);
    }

    [Fact]
    public void Everybody_else_re_points_one_entry_in_place()
    {
        ModelKernel kernel = Applied(Intents.With(Intents.Prod));
        DataplanePlan plan = Plan(kernel, Intents.With(Intents.Prod with { RemoteNics = [Intents.Remote("web-02", 2, 3)] }));

        DataplaneStep.SetRemoteMac step = Assert.IsType<DataplaneStep.SetRemoteMac>(Assert.Single(plan.Steps));
        Assert.Equal((Intents.Vtep(3), Intents.Vtep(2)), (step.Entry.Destination, step.OldDestination));
    }

    [Fact]
    public void The_node_it_leaves_points_to_the_other_before_its_device_goes()
    {
        ModelKernel kernel = Applied(Intents.With(Intents.Prod));
        DataplanePlan plan = Plan(kernel, Intents.With(Intents.Prod with { LocalNics = [], RemoteNics = [Intents.Remote("web-02", 2, 2), Intents.Remote("web-01", 1, 3)] }));

        DataplaneStep[] steps = [.. plan.Steps];
        int pointed = Array.FindIndex(steps, s => s is DataplaneStep.SetRemoteMac { Entry: { } entry } && entry.Mac.Equals(Intents.Mac(1)));
        int gone = Array.FindIndex(steps, s => s is DataplaneStep.DeleteLink);
        Assert.True(pointed >= 0 && gone > pointed, string.Join('\n', steps.Select(s => s.ToString())));
        Assert.DoesNotContain(steps, s => s is DataplaneStep.DeleteBridgeEntry or DataplaneStep.DeleteNeighbour);
    }

    private static ModelKernel Applied(DataplaneIntent intent)
    {
        ModelKernel kernel = new();
        foreach (DataplaneStep step in Plan(kernel, intent).Steps)
        {
            kernel.Apply(step);
        }

        return kernel;
    }

    private static DataplanePlan Plan(ModelKernel kernel, DataplaneIntent intent)
    {
        DesiredState desired = DesiredStateBuilder.From(intent);
        return Planner.Plan(desired, kernel.Observe(desired));
    }
}
