using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Kcore.Contracts;
using Kcore.Daemon.Api.Departures;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Dataplane.Nics;
using Kcore.Daemon.Storage.Events;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Kcore.Daemon.Api;

/// <summary>Maps the routes to the services that answer them.</summary>
internal sealed class ApiEndpoints(
    NetworkService networks,
    NicService nics,
    MoveService moves,
    NetworkReports networkReports,
    AddressDecisions addresses,
    AddressAnswers ips,
    NodeReports nodeReports,
    StatusReports status,
    ClusterReports cluster,
    PlanReports plans,
    DoctorReports doctor,
    NodeDepartures departures,
    NodeRemovals removals,
    KeyReports keys,
    MeshReports mesh,
    EventLog events,
    LocalNode self,
    CancellationToken stopping)
{
    private const int EventPage = 500;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(Routes.Version, context => Reply(context, new VersionInfo(self.Version, self.Name), ApiJson.Default.VersionInfo));
        routes.MapGet(Routes.Status, context => Reply(context, status.Report(), ApiJson.Default.StatusReport));
        routes.MapGet(Routes.Cluster, async context => await Reply(context, await cluster.ReportAsync(context.RequestAborted), ApiJson.Default.ClusterReport));
        routes.MapPost(Routes.TransferLeader, async context =>
        {
            TransferLeaderRequest request = await Body(context, ApiJson.Default.TransferLeaderRequest);
            await Reply(context, await cluster.TransferLeaderAsync(request, context.RequestAborted), ApiJson.Default.ChangeReceipt);
        });
        routes.MapPost(Routes.RecoverFinalize, async context => await Reply(
            context, await addresses.FinishRecoveryAsync(context.RequestAborted), ApiJson.Default.ChangeReceipt));
        routes.MapGet(Routes.Digest, DigestAsync);
        routes.MapGet(Routes.Plan, async context => await Reply(context, await plans.ReportAsync(context.RequestAborted), ApiJson.Default.PlanReport));
        routes.MapGet(Routes.Doctor, async context => await Reply(context, await doctor.ReportAsync(context.RequestAborted), ApiJson.Default.DoctorReport));
        routes.MapGet(Routes.Events, EventsAsync);

        routes.MapGet(Routes.ClusterKeys, context => Reply(context, keys.Report(), ApiJson.Default.ClusterKeys));
        routes.MapPost(Routes.ClusterKeys, async context =>
        {
            RotateKeyRequest request = await Body(context, ApiJson.Default.RotateKeyRequest);
            await Reply(context, await keys.RotateAsync(request, context.RequestAborted), ApiJson.Default.ClusterKeys);
        });

        routes.MapPost(Routes.ClusterToken, context => Reply(context, keys.Token(), ApiJson.Default.JoinTokenReply));
        routes.MapPost(Routes.ClusterJoin, async context =>
        {
            JoinClusterRequest request = await Body(context, ApiJson.Default.JoinClusterRequest);
            ChangeReceipt receipt = await keys.JoinAsync(request, context.RequestAborted);
            await Reply(context, departures.JoinAnew() ? receipt with { Verb = "joining" } : receipt, ApiJson.Default.ChangeReceipt);
        });
        routes.MapGet(Routes.Neighbours, context => Reply(context, keys.Neighbours(), ApiJson.Default.ImmutableArrayLanNeighbour));

        routes.MapGet(Routes.Networks, context => Reply(context, networkReports.List(context.Request.Query["all"] == "true"), ApiJson.Default.ImmutableArrayNetworkSummary));
        routes.MapGet(Routes.Networks + "/{name}", context => Reply(context, networkReports.Describe(Value(context, "name"), context.Request.Query["targetNode"]), ApiJson.Default.NetworkDetail));
        routes.MapPost(Routes.Networks, async context =>
        {
            CreateNetworkRequest request = await Body(context, ApiJson.Default.CreateNetworkRequest);
            await Reply(context, await networks.CreateAsync(request, context.RequestAborted), ApiJson.Default.ChangeReceipt);
        });
        routes.MapDelete(Routes.Networks + "/{name}", async context => await Reply(
            context,
            await networks.DeleteAsync(Value(context, "name"), context.Request.Query["targetNode"], context.RequestAborted),
            ApiJson.Default.ChangeReceipt));

        routes.MapPost(Routes.Networks + "/{name}" + Routes.Reclaim, async context => await Reply(
            context,
            await addresses.ReclaimAsync(Value(context, "name"), context.RequestAborted),
            ApiJson.Default.ChangeReceipt));
        routes.MapPost(Routes.Networks + "/{name}" + Routes.ReleaseOrphans, async context =>
        {
            ReleaseOrphansRequest request = await Body(context, ApiJson.Default.ReleaseOrphansRequest);
            await Reply(context, await addresses.ReleaseOrphansAsync(Value(context, "name"), request, context.RequestAborted), ApiJson.Default.ReleasedOrphans);
        });

        routes.MapGet(Routes.Ips, async context => await Reply(
            context,
            await ips.AnswerAsync(context.Request.Query["network"], context.Request.Query["local"] == "true", context.RequestAborted),
            ApiJson.Default.NetworkAddresses));

        routes.MapGet(Routes.Nodes, context => Reply(context, nodeReports.List(), ApiJson.Default.ImmutableArrayNodeSummary));
        routes.MapGet(Routes.Nodes + "/{name}", context => Reply(context, nodeReports.Describe(Value(context, "name")), ApiJson.Default.NodeDetail));
        routes.MapDelete(Routes.Nodes + "/{name}", async context => await Reply(
            context,
            await removals.RemoveAsync(Value(context, "name"), context.Request.Query["force"] == "true", context.RequestAborted),
            ApiJson.Default.ChangeReceipt));
        routes.MapPost(Routes.Drain, async context =>
        {
            DrainRequest request = await Body(context, ApiJson.Default.DrainRequest);
            await Reply(context, await departures.DrainAsync(request, context.RequestAborted), ApiJson.Default.ChangeReceipt);
        });
        routes.MapPost(Routes.Leave, async context =>
        {
            LeaveRequest request = await Body(context, ApiJson.Default.LeaveRequest);
            await Reply(context, await departures.LeaveAsync(request, context.RequestAborted), ApiJson.Default.ChangeReceipt);
        });
        routes.MapPost(Routes.Reset, async context =>
        {
            ResetRequest request = await Body(context, ApiJson.Default.ResetRequest);
            await Reply(context, await departures.ResetAsync(request, context.RequestAborted), ApiJson.Default.ChangeReceipt);
        });

        routes.MapPost(Routes.WireguardKey, context => Reply(context, mesh.Rotate(), ApiJson.Default.ChangeReceipt));

        routes.MapGet(Routes.Nics, context => Reply(context, nics.List(context.Request.Query["network"]), ApiJson.Default.ImmutableArrayNicInfo));
        routes.MapPost(Routes.Nics, async context =>
        {
            AttachNicRequest request = await Body(context, ApiJson.Default.AttachNicRequest);
            await Reply(context, await nics.AttachAsync(request, context.RequestAborted), ApiJson.Default.NicInfo);
        });
        routes.MapDelete(Routes.Nics + "/{network}/{name}", async context => await Reply(
            context,
            await nics.DetachAsync(Value(context, "network"), Value(context, "name"), context.RequestAborted),
            ApiJson.Default.ChangeReceipt));
        routes.MapPost(Routes.Nics + "/{network}/{name}" + Routes.Move, async context =>
        {
            MoveNicRequest request = await Body(context, ApiJson.Default.MoveNicRequest);
            await Reply(context, await moves.MoveAsync(Value(context, "network"), Value(context, "name"), request, context.RequestAborted), ApiJson.Default.MovedNic);
        });
    }

    private static string Value(HttpContext context, string name) => (string?)context.Request.RouteValues[name] ?? "";

    private static async Task<T> Body<T>(HttpContext context, JsonTypeInfo<T> type)
        where T : class
    {
        if (!context.Request.HasJsonContentType())
        {
            throw new RefusedException(ErrorCode.InvalidArgument, "the request body is not declared as JSON", next: "add the header Content-Type: application/json");
        }

        return await context.Request.ReadFromJsonAsync(type, context.RequestAborted)
            ?? throw new RefusedException(ErrorCode.InvalidArgument, "the request has no body");
    }

    private static Task Reply<T>(HttpContext context, T value, JsonTypeInfo<T> type) => context.Response.WriteAsJsonAsync(value, type);

    private async Task DigestAsync(HttpContext context)
    {
        string? not = context.Request.Query["not"];

        // Who waits here must not hold up the end of the daemon.
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping);
        try
        {
            string digest = await status.DigestAsync(string.IsNullOrEmpty(not) ? null : not, ended.Token);
            context.Response.ContentType = "text/plain";
            await context.Response.WriteAsync(digest, ended.Token);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            context.Abort();
        }
    }

    /// <summary>One JSON object a line: what is there, and with <c>follow=true</c> what comes.</summary>
    private async Task EventsAsync(HttpContext context)
    {
        string? from = context.Request.Query["since"];
        long since = 0;
        if (!string.IsNullOrEmpty(from) && !long.TryParse(from, NumberStyles.None, CultureInfo.InvariantCulture, out since))
        {
            throw new RefusedException(ErrorCode.InvalidArgument, "since is not the sequence number of an event");
        }

        bool follow = context.Request.Query["follow"] == "true";
        context.Response.ContentType = "application/x-ndjson";

        // A follower would hold up the end of the daemon for as long as it likes.
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, stopping);
        CancellationToken gone = ended.Token;
        try
        {
            while (true)
            {
                (_, long revision) = events.Latest.Read();
                List<EventInfo> page = events.Since(since, EventPage);
                foreach (EventInfo item in page)
                {
                    await JsonSerializer.SerializeAsync(context.Response.Body, item, ApiJson.Default.EventInfo, gone);
                    await context.Response.Body.WriteAsync("\n"u8.ToArray(), gone);
                    since = item.Sequence;
                }

                await context.Response.Body.FlushAsync(gone);
                if (page.Count == EventPage)
                {
                    continue;
                }

                if (!follow)
                {
                    return;
                }

                await events.Latest.ChangedSince(revision, gone);
            }
        }
        catch (OperationCanceledException) when (gone.IsCancellationRequested)
        {
            // The reader has seen enough, or the daemon stops.
        }
    }
}
