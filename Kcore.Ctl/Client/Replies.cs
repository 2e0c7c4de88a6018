using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Kcore.Contracts;

namespace Kcore.Ctl.Client;

/// <summary>Reads what the daemon answers.</summary>
/// <remarks>
/// The daemon refuses unknown members of a request so that a typo is not lost. A reply is the other way round: a newer
/// daemon may say more than this program knows, and that must not break it.
/// </remarks>
internal static class Replies
{
    public static ApiJson Json { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
        RespectNullableAnnotations = true,
    });

    public static T Read<T>(byte[] body, JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(body, type)
                ?? throw CommandFailure.BadReply("kcored answered null where an object was expected");
        }
        catch (JsonException e)
        {
            throw CommandFailure.BadReply("kcored's answer is not the JSON that was expected", e.Message);
        }
    }

    public static ImmutableArray<T> ReadList<T>(byte[] body, JsonTypeInfo<ImmutableArray<T>> type)
        where T : class
    {
        ImmutableArray<T> list = Read(body, type).OrEmpty();
        return list.Any(item => item is null)
            ? throw CommandFailure.BadReply("kcored's answer is not the JSON that was expected", "a list contains null")
            : list;
    }

    /// <summary>A list the sender left out reads as the default array, on which every call fails.</summary>
    public static ImmutableArray<T> OrEmpty<T>(this ImmutableArray<T> array) => array.IsDefault ? [] : array;
}
